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

/**
 * The body with its triggers in the member `recall_when`, members sorted. Without triggers, and for a body that is not
 * an object (it has no members), the text comes back byte for byte.
 */
export function withTriggers(bodyJson: string, triggers: readonly string[]): string {
  if (triggers.length === 0) return bodyJson;
  const body: unknown = JSON.parse(bodyJson);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return bodyJson;
  return sortedJson({ ...body, recall_when: triggers });
}
