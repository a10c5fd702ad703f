/**
 * Whether a JSON text nests deeper than `max`. Looks at brackets outside of strings only and uses no stack, so that it
 * can stand before every parser and serialiser that recurses.
 */
export function nestsDeeperThan(json: string, max: number): boolean {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < json.length; i++) {
    const unit = json.charCodeAt(i);
    if (inText) {
      if (unit === 0x5c) i += 1;
      else if (unit === 0x22) inText = false;
    } else if (unit === 0x22) inText = true;
    else if (unit === 0x5b || unit === 0x7b) {
      depth += 1;
      if (depth > max) return true;
    } else if (unit === 0x5d || unit === 0x7d) depth -= 1;
  }
  return false;
}

/** {@link nestsDeeperThan} for a value that is already parsed. */
export function valueNestsDeeperThan(value: unknown, max: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; ; depth++) {
    const next: unknown[] = [];
    let containers = 0;
    for (const member of level) {
      if (typeof member !== 'object' || member === null) continue;
      containers += 1;
      for (const inner of Array.isArray(member) ? member : Object.values(member))
        if (typeof inner === 'object' && inner !== null) next.push(inner);
    }
    if (containers === 0) return false;
    if (depth === max) return true;
    level = next;
  }
}

/** Compact JSON with the members of every object sorted by code unit. The caller bounds the depth. */
export function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${sortedJson(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** Where the values of a member stand in the text of a JSON object, which is valid; a name may be there more than once. */
function valueSpans(object: string, name: string): { readonly start: number; readonly end: number }[] {
  const spans: { start: number; end: number }[] = [];
  let depth = 0;
  let nameComes = false;
  let isWanted = false;
  let start = -1;
  for (let at = 0; at < object.length; at++) {
    const unit = object[at];
    if (unit === '"') {
      const opened = at;
      for (at += 1; object[at] !== '"'; at++) if (object[at] === '\\') at += 1;
      if (nameComes) isWanted = JSON.parse(object.slice(opened, at + 1)) === name;
      nameComes = false;
    } else if (unit === '{' || unit === '[') {
      depth += 1;
      nameComes = depth === 1;
    } else if (unit === ':' && depth === 1 && isWanted) start = at + 1;
    else if (depth === 1 && (unit === ',' || unit === '}')) {
      if (start !== -1) spans.push({ start, end: at });
      [start, isWanted, nameComes] = [-1, false, true];
      if (unit === '}') break;
    } else if (unit === '}' || unit === ']') depth -= 1;
  }
  return spans;
}

/** Whether a body has members: triggers can stand only in one that has. */
export function isObjectText(bodyJson: string): boolean {
  return bodyJson.trimStart().startsWith('{');
}

/**
 * The body with its triggers in the member `recall_when`, everything else byte for byte: read and written again, large
 * numbers would not be the same. A body that is no object (it has no members) comes back as it is.
 */
export function withTriggers(bodyJson: string, triggers: readonly string[]): string {
  if (triggers.length === 0 || !isObjectText(bodyJson)) return bodyJson;
  const value = JSON.stringify(triggers);
  const spans = valueSpans(bodyJson, 'recall_when');
  if (spans.length > 0) {
    return spans.reduceRight((text, { start, end }) => text.slice(0, start) + value + text.slice(end), bodyJson);
  }
  const close = bodyJson.lastIndexOf('}');
  const comma = bodyJson.slice(0, close).trimEnd().endsWith('{') ? '' : ',';
  return `${bodyJson.slice(0, close)}${comma}"recall_when":${value}${bodyJson.slice(close)}`;
}
