// Vaults, documents, old databases and keys: what is written to files, and what comes in from them.
import { isDeepStrictEqual } from 'node:util';

import { LAYERS } from '../../../src/memory/retention.ts';
import { DEFAULT_VAULT, errorsOf, filesTold } from '../beside.ts';
import type { Finding } from '../compare.ts';
import type { Difference } from '../difference.ts';
import { asText, isObject, readJson, textAt, type Json } from '../recording.ts';

/** What the original says of something that cannot be read, and what we say of the same. */
const UNREADABLE: readonly (readonly [RegExp, (found: RegExpExecArray) => RegExp])[] = [
  [/: no frontmatter$/, () => /: no front matter: /],
  [/: unclosed frontmatter$/, () => /: unclosed front matter: /],
  [/: GitHub connector is not enabled or missing token$/, () => /: there is no token\. /],
  [
    /: Invalid column type (\w+) at index: \d+, name: (\w+)$/,
    ([, kind = '', column = '']) => new RegExp(`: column ${column} holds ${kind}, `),
  ],
  [/^No v0\.1\.x memories table found/, () => /^No table of memories of Mimir 0\.1 is in this file\.$/],
];

function saysTheSame(theirs: string, ours: string): boolean {
  return UNREADABLE.some(([original, due]) => {
    const found = original.exec(theirs);
    return found !== null && due(found).test(ours);
  });
}

/** A tag without the quotes that it has gained, once or several times. */
function unquoted(tag: Json): Json {
  const inner = typeof tag === 'string' && tag.startsWith('"') ? readJson(tag) : undefined;
  return inner === undefined ? tag : unquoted(inner);
}

function listAt(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** New and updated files of the original, and how many of ours stand in their place. */
function countsOf({ answers: { theirs, ours } }: Finding) {
  const created = [Number(theirs['files_created']), Number(ours['files_created'])] as const;
  const isWhole = filesTold(theirs) === filesTold(ours);
  return { theirs: created[0], ours: created[1], isWhole };
}

const BASE64 = /^[A-Za-z0-9+/]{40,}={0,2}$/;

/** Lines about files. */
export const FILES: readonly Difference[] = [
  {
    name: 'a-vault-has-a-folder',
    tools: ['mimir_vault_export', 'mimir_vault_import'],
    original:
      'Without `vault_dir` the calls fail, though it is published as optional; an empty one is the folder in which the server ' +
      'was started.',
    ours: 'Both mean `MIMIR_VAULT_DIR`, else `~/.mimir/vault`.',
    reason: 'That is the published default, and nobody wants the files wherever a server happens to run.',
    explains: ({ kind, at, theirs, ours, args, answers }) => {
      const asked = isObject(args) ? args['vault_dir'] : undefined;
      if (kind === 'changed') return at === '/vault_dir' && asked === '' && ours === DEFAULT_VAULT;
      if (asked !== undefined || !/missing field `vault_dir`/.test(asText(theirs))) return false;
      if (kind === 'accepted') return answers.ours['vault_dir'] === DEFAULT_VAULT;
      return kind === 'reason' && asText(ours).startsWith(`${DEFAULT_VAULT} `);
    },
  },
  {
    name: 'an-import-has-one-argument',
    tools: ['mimir_vault_import'],
    original: '`workspace_hash` must be a text, and has no effect.',
    ours: 'It is no argument, so it is left aside like all others that there are not.',
    reason: 'Files say themselves which workspace they belong to.',
    explains: ({ kind, theirs, args, answers }) =>
      (kind === 'accepted' || (kind === 'reason' && answers.ours['code'] === 'not_found')) &&
      /invalid type: .*expected a string$/.test(asText(theirs)) &&
      isObject(args) &&
      typeof args['vault_dir'] === 'string' &&
      typeof (args['workspace_hash'] ?? '') !== 'string',
  },
  {
    name: 'a-file-says-what-was-given',
    tools: ['$files'],
    original: 'A file of a vault has the strength of that moment, `decay_score`, and none of what else was given.',
    ours: 'It has the `importance`, and all other fields and links.',
    reason: 'Strength follows from importance, uses and times, which are all there; nothing is lost on the way.',
    explains: ({ kind, at, around, row }) =>
      kind === 'missing' &&
      at === '/files/[]/decay_score' &&
      row?.importance !== undefined &&
      around.ours['importance'] === row.importance,
  },
  {
    name: 'use-alone-writes-no-file',
    tools: ['mimir_vault_export'],
    original: 'A memory that was only used since the last export has its file written again.',
    ours: 'Files are written when their memory says something else; uses are written along.',
    reason: 'A vault in git would change with every recall.',
    // That each file says what its memory says is looked at after every export.
    explains: (finding) =>
      finding.kind === 'changed' &&
      finding.at === '/files_updated' &&
      Number(finding.ours) < Number(finding.theirs) &&
      countsOf(finding).ours === countsOf(finding).theirs,
  },
  {
    name: 'what-is-not-new-changes-nothing',
    tools: ['mimir_vault_import'],
    original:
      'Each file that is read writes its memory anew and is counted as updated, whatever it says; what was forgotten since is ' +
      'brought back.',
    ours: 'A file that says nothing new is counted in `files_unchanged`; what was forgotten stays so and is named in `forgotten`.',
    reason: 'Reading a folder again must not undo what happened since it was written.',
    explains: (finding) => {
      const { theirs, ours, isWhole } = countsOf(finding);
      return finding.kind === 'changed' && finding.at === '/files_updated' && theirs === ours && isWhole;
    },
  },
  {
    name: 'each-file-is-a-memory',
    tools: ['mimir_vault_import'],
    original: 'A file whose words are much like those of another memory is merged into that, and counted as updated.',
    ours: 'It becomes a memory of its own.',
    reason: 'See nothing-is-merged.',
    explains: (finding) => {
      const { theirs, ours, isWhole } = countsOf(finding);
      const isCount = finding.at === '/files_created' || finding.at === '/files_updated';
      return finding.kind === 'changed' && isCount && ours > theirs && isWhole;
    },
  },
  {
    name: 'tags-gain-no-quotes',
    tools: ['$files', 'mimir_recall', 'mimir_get_entity'],
    original: 'Each import of a vault puts quotes around the tags.',
    ours: 'They come back as they were.',
    reason: 'What was stored must come back as it was.',
    explains: ({ kind, at, theirs, ours }) =>
      kind === 'changed' && at.endsWith('/tags') && isDeepStrictEqual(listAt(theirs).map(unquoted), ours),
  },
  {
    name: 'the-source-stays',
    tools: ['mimir_recall'],
    original:
      'Who touches a memory last is its `source`: `vault-import` after an import, `agent` after `mimir_remember`.',
    ours: 'It keeps the source that it had.',
    reason: 'The source says who made it.',
    explains: ({ kind, at, theirs, ours, row }) => {
      if (kind !== 'changed' || !at.endsWith('/source') || row === undefined) return false;
      const isTouched =
        (theirs === 'vault-import' && row.omitted.has('source')) ||
        (theirs === 'agent' && row.madeBy === 'mimir_vault_import');
      return isTouched && ours === (row.fields['source'] ?? 'agent');
    },
  },
  {
    name: 'words-become-a-body',
    tools: ['mimir_recall'],
    original: 'A text in a vault that is no JSON is stored as it stands, as a `body_json` that is none.',
    ours: 'It is stored as `{"content": ...}`.',
    reason: 'Who reads `body_json` expects JSON, and the text is found as all others are.',
    explains: ({ kind, at, theirs, ours }) =>
      kind === 'changed' &&
      at.endsWith('/body_json') &&
      readJson(asText(theirs)) === undefined &&
      isDeepStrictEqual(readJson(asText(ours)), { content: asText(theirs).trim() }),
  },
  {
    name: 'a-strength-is-a-number',
    tools: ['mimir_recall'],
    original: 'A file with `decay_score: NaN` makes a memory that lets every recall fail that meets it.',
    ours: 'The word counts for nothing.',
    reason: 'One file must not close the store.',
    explains: ({ kind, theirs }) =>
      kind === 'accepted' && /Invalid column type Null at index: \d+, name: decay_score/.test(asText(theirs)),
  },
  {
    name: 'vaults-can-be-read',
    tools: ['$files', 'mimir_get_entity'],
    original: 'The vault of an encrypted store holds cipher text, and an import of it encrypts that again.',
    ours: 'It holds the texts; the export of an encrypted store is plain.',
    reason: 'Cipher text in a vault is of no use to anybody, and read back it destroys the memory.',
    explains: ({ kind, at, theirs, foretold }) =>
      kind === 'changed' && at.endsWith('/body_json') && BASE64.test(asText(theirs)) && foretold,
  },
  {
    name: 'an-encrypted-store-needs-its-key',
    original:
      'Without the key of an encrypted store, or with another one, it answers cipher text, and writes beside it.',
    ours: 'Every call fails (`not_a_store` without a key, `wrong_key` with another), and every command with exit code 1.',
    reason: 'What is written with another key can never be read by the one who has the first.',
    explains: ({ kind, at, answers, foretold }) => {
      if (!foretold) return false;
      if (kind === 'refused') return /^(not_a_store|wrong_key)$/.test(asText(answers.ours['code']));
      return (at === '/exit' || at === '/stdout') && answers.ours['exit'] === 1 && answers.ours['stdout'] === '';
    },
  },
  {
    name: 'what-cannot-be-read-says-why',
    tools: ['mimir_vault_import', 'mimir_ingest', 'mimir_migrate'],
    original:
      'A file, a row or a connector that cannot be read is named with a word or two, or in the words of a library.',
    ours: 'It is named as there, with what it should be.',
    reason: 'Who wrote it can mend it.',
    explains: ({ kind, at, theirs, ours, answers }) => {
      if (at !== '/errors/[]') return false;
      if (kind === 'changed') return saysTheSame(asText(theirs), asText(ours));
      // Sentences that name nothing are no pair for the comparison.
      if (kind === 'lacking') return errorsOf(answers.ours).some((one) => saysTheSame(asText(theirs), one));
      return kind === 'extra' && errorsOf(answers.theirs).some((one) => saysTheSame(one, asText(ours)));
    },
  },
  {
    name: 'a-dry-run-brings-nothing-in',
    tools: ['mimir_ingest'],
    original: 'A dry run marks the files as seen: the next run finds nothing, until the server is started anew.',
    ours: 'A dry run changes nothing, and the next run brings in what it named.',
    reason: 'That is what it is for.',
    explains: ({ kind, at, foretold }) => kind === 'changed' && at === '/ingested' && foretold,
  },
  {
    name: 'a-path-that-is-not-there-is-said',
    tools: ['mimir_ingest'],
    original: 'A folder of the settings that is not there is passed over without a word.',
    ours: 'It is named in `errors`, and what came from it stays.',
    reason: 'A path that was mistyped should not look like an empty folder.',
    explains: ({ kind, at, ours }) =>
      kind === 'extra' && at === '/errors/[]' && /^file_watcher: .*: is not there$/.test(asText(ours)),
  },
  {
    name: 'a-second-migration-changes-nothing',
    tools: ['mimir_migrate'],
    original: 'A second run writes all of it over what is there, and counts it as created.',
    ours: 'What is there stays as it is, and is counted in `already_there`.',
    reason: 'Somebody may have changed it meanwhile.',
    explains: ({ kind, at, theirs, ours, answers }) =>
      kind === 'changed' &&
      at === '/entities_created' &&
      Number(ours) + Number(answers.ours['already_there'] ?? 0) === Number(theirs),
  },
  {
    name: 'a-migration-makes-no-file',
    tools: ['mimir_migrate'],
    original: 'From a path where no file is, it makes an empty one and finds nothing in it.',
    ours: 'It fails, and makes none.',
    reason: 'A path that was mistyped should not look like an empty store.',
    explains: ({ kind, args, answers }) => {
      if (kind !== 'refused' || answers.theirs['total_old_memories'] !== 0) return false;
      const isEmpty = textAt(args, 'from_path') === '';
      return answers.ours['code'] === (isEmpty ? 'invalid_argument' : 'cannot_open');
    },
  },
  {
    name: 'long-ids-stay-two',
    tools: ['mimir_recall'],
    original:
      'Of two memories of version 0.1 whose ids begin with the same 20 bytes, the second takes the place of the first.',
    ours: 'Both are there.',
    reason: 'Nothing acknowledged is lost.',
    explains: ({ kind, at, row }) =>
      kind === 'extra' && at === '/items/[]' && row?.madeBy === 'mimir_migrate' && Buffer.byteLength(row.id) > 20,
  },
  {
    name: 'migrated-memories-keep-their-workspace',
    tools: ['mimir_recall'],
    original: 'The workspace of a memory of version 0.1 becomes a tag, where its tags can be read.',
    ours: 'It stays its workspace, and is a tag as well.',
    reason: 'A search in that workspace finds it.',
    explains: ({ kind, at, theirs, ours, row, around, foretold }) => {
      if (kind !== 'changed' || row?.madeBy !== 'mimir_migrate' || !foretold) return false;
      const tag = `workspace:${asText(around.ours['workspace_hash'])}`;
      if (at.endsWith('/tags')) return isDeepStrictEqual([...listAt(theirs), tag], ours);
      return at.endsWith('/workspace_hash') && theirs === '' && listAt(around.ours['tags']).includes(tag);
    },
  },
  {
    name: 'there-are-three-layers',
    tools: ['mimir_recall'],
    original: 'A memory of version 0.1 keeps a layer that is none of the three.',
    ours: 'It counts as `buffer`, until use has earned it more.',
    reason: 'A layer is what use has earned, and other words mean nothing.',
    explains: ({ kind, at, theirs, row, foretold }) =>
      kind === 'changed' &&
      at.endsWith('/layer') &&
      row?.madeBy === 'mimir_migrate' &&
      foretold &&
      !LAYERS.some((layer) => layer === theirs),
  },
];
