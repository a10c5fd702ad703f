import { isUntouched, exportedMemory, type Named, type VaultFile, type VaultLink } from '../engine/vault.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { readText } from './folder.ts';
import { fileNameOf } from './markdown.ts';
import { understood, type Vault } from './reading.ts';

/** What the notes of a folder are called: people rename them, and Obsidian then rewrites the links to them. */
export interface Names {
  /** The file of a memory: the one named by its id, else a renamed one; where there is none, the name of the one to make. */
  readonly fileOf: (id: string) => string;
  /** Whether there is a file of this name, which is without its ending. */
  readonly has: (name: string) => boolean;
  /** A file whose links say which memories they mean: by the name of a note, an id, or an alias. `unsure` has those that mean none. */
  readonly resolved: (file: VaultFile) => Promise<VaultFile>;
}

/** Names that ids give, and nobody else: these files need not be read. */
const BY_ID = /^[a-z]+-[0-9a-f]{12}\.md$/;

/** Looks at the names in a folder. */
export async function namesIn(vault: Vault, files: readonly string[]): Promise<Names> {
  const { execute, scope, options } = vault;
  const there = new Map(files.toReversed().map((file) => [file.toLowerCase(), file]));
  for (const file of files) there.set(file, file);
  const read = new Map<string, Note | null>();
  const noteAt = async (file: string): Promise<Note | null> => {
    const known = read.get(file);
    if (known !== undefined) return known;
    const note = await readNote(vault, file);
    read.set(file, note);
    return note;
  };

  const meant = async (targets: readonly Named[]): Promise<(string | null)[]> => {
    const ids: (string | null)[] = [];
    for (let at = 0; at < targets.length; at += LIMITS.vaultPageRows) {
      const some = { targets: targets.slice(at, at + LIMITS.vaultPageRows) };
      ids.push(...(await execute('vault_meant', scope, some, options)));
    }
    return ids;
  };

  const renamed = new Map<string, string>();
  const others: { readonly file: string; readonly id: string; readonly place: Named }[] = [];
  for (const file of files) {
    const { id, ...place } = (BY_ID.test(file) ? null : await noteAt(file))?.named ?? {};
    if (id !== undefined && file !== fileNameOf(id)) others.push({ file, id, place });
  }
  // A note that says another category or key is another memory, whatever its id.
  const ids = await meant(others.map(({ place }) => place));
  for (const [i, { file, id }] of others.entries()) if (ids[i] === id && !renamed.has(id)) renamed.set(id, file);

  let aliases: Map<string, Named[]> | undefined;
  /** Null where there is none, and where different memories have it. */
  const byAlias = async (alias: string): Promise<string | null> => {
    if (aliases === undefined) {
      aliases = new Map();
      for (const file of files) {
        const note = await noteAt(file);
        if (note === null) continue;
        for (const one of new Set(note.aliases.map((text) => text.toLowerCase()))) {
          const same = aliases.get(one) ?? [];
          same.push(note.named);
          aliases.set(one, same);
        }
      }
    }
    const [id = null, ...more] = new Set(await meant(aliases.get(alias.toLowerCase()) ?? []));
    return more.length === 0 ? id : null;
  };
  const byFile = async (name: string): Promise<Named | null> => {
    const file = there.get(`${name}.md`) ?? there.get(`${name}.md`.toLowerCase());
    return file === undefined ? null : ((await noteAt(file))?.named ?? null);
  };

  const resolved = async (file: VaultFile): Promise<VaultFile> => {
    const { links = [] } = file;
    const itself = exportedMemory(file);
    if (links.length === 0 || (itself !== null && isUntouched(itself, file))) return file;
    const targets: Named[] = [];
    for (const { name, targetId } of links) targets.push((name && (await byFile(name))) || { id: targetId });
    const ids = await meant(targets);
    for (const [i, { name }] of links.entries()) {
      if (ids[i] === null && name !== undefined) ids[i] = await byAlias(name);
    }
    const sure = links.flatMap((link, i): VaultLink[] => {
      const id = ids[i] ?? null;
      return id === null ? [] : [{ ...link, targetId: id }];
    });
    return { ...file, links: sure, unsure: links.filter((_, i) => (ids[i] ?? null) === null) };
  };

  return {
    fileOf: (id) => {
      const file = fileNameOf(id);
      return there.get(file) ?? renamed.get(id) ?? file;
    },
    has: (name) => there.has(`${name}.md`),
    resolved,
  };
}

/** Which memory a file is, and how else it is called. */
interface Note {
  readonly named: Named;
  readonly aliases: readonly string[];
}

/** Null when a file cannot be read or understood, which whoever takes that file itself will tell. */
async function readNote({ folder, read }: Vault, name: string): Promise<Note | null> {
  const text = await readText(folder, name, LIMITS.vaultFileMaxBytes).catch((thrown: unknown) => {
    if (thrown instanceof MimirError && thrown.code === 'cannot_open') return null;
    throw thrown;
  });
  const file = text === null ? null : understood(read, text);
  if (file === null) return null;
  const { id, workspace, category, key, aliases = [] } = file;
  const named = { category, key, ...(id !== undefined && { id }), ...(workspace !== undefined && { workspace }) };
  return { named, aliases };
}
