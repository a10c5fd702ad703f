// A file of a vault as data, so that its members can be compared one by one.
import { parseDocument } from 'yaml';

import { isObject, readJson, type Json, type JsonObject } from './recording.ts';

const FRONT = /^---\n([\s\S]*?)\n---\n/;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

/**
 * What a file says of its memory: the members of its front matter, and its body as JSON, which may stand there as prose. Times
 * are those of the run. What has no front matter is all text.
 */
export function noteOf(file: string): JsonObject {
  const told = file.replace(TIME, '$TIME');
  const [whole = '', front = ''] = FRONT.exec(told) ?? [];
  const document = parseDocument(front);
  const read = document.errors.length === 0 ? (document.toJS() as Json) : null;
  if (!isObject(read)) return { text: told };
  const members = Object.entries(read).map(([name, value]) => [name, value ?? '']);
  const body = told.slice(whole.length).trim();
  const bodyJson = readJson(body) === undefined ? JSON.stringify({ content: body }) : body;
  return { ...(Object.fromEntries(members) as JsonObject), body_json: bodyJson };
}
