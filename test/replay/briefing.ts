// The markdown of a briefing as data, so that its lines can be compared one by one.
import type { JsonObject } from './recording.ts';

const LINE =
  /^- (\[always-on\] )?\[([\s\S]*?)\] \*\*([\s\S]*?)\*\* — ([\s\S]*?) \(retrievals: (\d+), decay: (-?[\d.]+)\)$/gm;
const COUNT = /^> (\d+) entities recalled$/m;

/** Pinned lines, the other lines, and how many it says there are. */
export function briefingOf(markdown: string): JsonObject {
  const lines = [...markdown.matchAll(LINE)].map(([, pinned, category = '', key = '', body = '', count, strength]) => ({
    pinned: pinned !== undefined,
    line: { category, key, body, retrieval_count: Number(count), decay_score: Number(strength) },
  }));
  const part = (wanted: boolean): JsonObject[] =>
    lines.filter(({ pinned }) => pinned === wanted).map(({ line }) => line);
  return {
    heading: markdown.split('\n', 1)[0] ?? '',
    pinned: part(true),
    recalled: part(false),
    said: Number(COUNT.exec(markdown)?.[1] ?? Number.NaN),
  };
}
