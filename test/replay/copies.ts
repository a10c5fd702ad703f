// What copying a workspace has to do, by what is stored.
import type { Ledger, Row } from './ledger.ts';
import type { JsonObject } from './recording.ts';

/** A memory, and the one of its name where its copy goes. */
export type CopyPair = readonly [from: Row, there: Row | undefined];

/** The live memories of a workspace: those that are copied, and how many are refused, because there is another memory in their place. */
export function copiesOf(
  ledger: Ledger,
  args: JsonObject,
): { readonly pairs: readonly CopyPair[]; readonly refused: number } {
  const live = [...ledger.rows.values()].filter(
    ({ archived, fields }) => !archived && fields['workspace_hash'] === args['from_workspace'],
  );
  const all = live.map((row): CopyPair => {
    const { category = '', key = '' } = row.fields;
    return [row, ledger.at({ category, key, workspace_hash: args['to_workspace'] ?? '' })];
  });
  const pairs = all.filter(([from, there]) => there === undefined || mayBecome(there, from));
  return { pairs, refused: all.length - pairs.length };
}

function mayBecome(there: Row, from: Row): boolean {
  const isSame = there === from || there.fields['body_json'] === from.fields['body_json'];
  return isSame || there.archived || there.copyOf === from;
}
