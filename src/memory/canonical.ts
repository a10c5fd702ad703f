/**
 * JSON in one form: members sorted by code unit, strings in NFC, no white space. Equal facts give equal text. A text that
 * is not JSON is its own canonical form, in NFC.
 */
export function canonicalJson(json: string): string {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return json.normalize('NFC');
  }
  return canonical(value);
}

/** {@link canonicalJson} of a value. The caller bounds the depth. */
export function canonical(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.normalize('NFC'));
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([name, member]): [string, unknown] => [name.normalize('NFC'), member]);
    members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
