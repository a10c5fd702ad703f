// What `mimir_synthesize` has to store, by what it answered.
import { asText, type Json, type JsonObject } from './recording.ts';

/** The memory of each lesson. */
export function lessonRows(args: JsonObject, lessons: readonly JsonObject[]): (JsonObject & { readonly id: string })[] {
  const { tags = [], visibility = '', workspace_hash: workspace = '' } = args;
  const shared: Record<string, Json> = { category: 'synthesis', type: 'lesson', tags, workspace_hash: workspace };
  return lessons.map(({ id: made, lesson_type: type, confidence = 0 }) => {
    const id = asText(made);
    const key = `${asText(type)}-${id.slice('syn-'.length)}`;
    return {
      ...shared,
      id,
      key,
      visibility: asText(visibility) || 'workspace',
      certainty: confidence,
      importance: confidence,
    };
  });
}

/** What the journal says of them. */
export function lessonsEntry(lessons: readonly JsonObject[]): JsonObject {
  const types = lessons.map((lesson) => lesson['lesson_type'] ?? null);
  const counts = { entities_created: types.length, lessons_found: types.length };
  return { acted_json: JSON.stringify(counts), forward_json: JSON.stringify({ lesson_types: types }) };
}
