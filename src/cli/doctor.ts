import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';

import { systemClock } from '../clock.ts';
import { earlyStorePath, readConfig, unknownVariables, type Config } from '../config.ts';
import { EXIT_CODES, MimirError, shellWord } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { print } from '../log.ts';
import type { Call, Host, OpenStore } from './command.ts';
import { lookOf } from './run.ts';
import { harmless, styled, type Look } from './show.ts';
import { INDEX_OLD, restoreAdvice } from './verify.ts';

/** One thing that was looked at. A `fault` needs a hand, a `note` is worth knowing. */
export interface Finding {
  readonly level: 'ok' | 'note' | 'fault';
  /** A stable word for programs: an error code, or what was looked at. */
  readonly check: string;
  readonly says: string;
  /** What mends it. */
  readonly mend?: string;
}

const ok = (check: string, says: string): Finding => ({ level: 'ok', check, says });
const note = (check: string, says: string, mend?: string): Finding => ({
  level: 'note',
  check,
  says,
  ...(mend !== undefined && { mend }),
});
const fault = (check: string, says: string, mend: string): Finding => ({ level: 'fault', check, says, mend });

function faultOf(thrown: unknown): Finding {
  if (!(thrown instanceof MimirError) || thrown.kind === 'bug') throw thrown;
  // A server would start, and import it.
  if (thrown.facts?.['importable'] === true) return note(thrown.code, thrown.message, thrown.hint);
  return fault(thrown.code, thrown.message, thrown.hint ?? 'See docs/your-data.md.');
}

/** `mimir doctor`. Exit code 0 when there is no fault, 5 when there is one. */
export async function doctor(call: Call, host: Host): Promise<number> {
  const findings = await examineSetup(call, host);
  const isWell = findings.every(({ level }) => level !== 'fault');
  if (call.values['json'] === true) print(JSON.stringify({ ok: isWell, findings }));
  else print(findings.map((finding) => lineOf(finding, lookOf(call))).join('\n'));
  return isWell ? 0 : EXIT_CODES.damaged;
}

const STYLES = { ok: 'green', note: 'yellow', fault: 'red' } as const;

function lineOf({ level, says, mend }: Finding, look: Look): string {
  const head = `${styled(level.padEnd(6), STYLES[level], look)} ${harmless(says)}`;
  return mend === undefined ? head : `${head}\n       ${harmless(mend)}`;
}

/** Looks at everything that a server with these settings needs; an empty list of faults means that it would start. */
export async function examineSetup(call: Call, host: Pick<Host, 'version' | 'open'>): Promise<Finding[]> {
  const findings = [ok('node', `Node ${process.versions.node}, mimir ${host.version}`)];
  for (const name of unknownVariables(call.environment)) {
    findings.push(note('unknown_variable', `${name} is set, and nothing reads it.`, 'README.md lists the variables.'));
  }
  let config: Config;
  let store: OpenStore;
  try {
    config = readConfig(call.values, call.environment);
    store = await host.open({ ...config, importOriginal: false });
  } catch (thrown) {
    return [...findings, faultOf(thrown)];
  }
  findings.push(ok('settings', `the settings can be read; the store is ${config.dbPath}`));
  for (const problem of store.connectorProblems)
    findings.push(fault('connector_left_out', problem, 'docs/sources.md shows what such a file holds.'));
  for (const unused of store.connectorNotes)
    findings.push(note('connector_setting_unused', unused, 'docs/sources.md shows what such a file holds.'));
  findings.push(...examineKeyFile(config), ...examinePlace(config), ...keptCopies(config, call));
  const isStanding = existsSync(config.dbPath) && findings.every(({ level }) => level !== 'fault');
  try {
    if (isStanding) findings.push(...othersWith(config.dbPath), ...(await examineStore(store)));
    findings.push(...(await examineModels(config, store)));
  } finally {
    await store.close();
  }
  if (config.transport !== 'stdio') findings.push(await examinePort(config));
  return findings;
}

function examineKeyFile({ keyFile }: Config): Finding[] {
  if (keyFile === null) return [];
  if (!existsSync(keyFile)) {
    const mend = 'Name the key file that the store was made with, or make one for a new store: mimir keygen';
    return [fault('key_file_missing', `The key file ${keyFile} does not exist.`, mend)];
  }
  if (process.platform !== 'win32' && (statSync(keyFile).mode & 0o077) !== 0) {
    return [
      fault(
        'key_file_open',
        `Other users of this machine can read the key file ${keyFile}.`,
        `chmod 600 ${shellWord(keyFile)}`,
      ),
    ];
  }
  return [ok('key_file', `the key file ${keyFile} is for its owner only`)];
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false; // whatever the reason, it is said by the one who asks
  }
}

/** The folder of the store, its disk, and the file as others see it; nothing is opened. */
function examinePlace({ dbPath, dbIsDefault }: Config): Finding[] {
  let folder = dirname(dbPath);
  if (!existsSync(folder) && !dbIsDefault) {
    return [fault('folder_missing', `The folder ${folder} does not exist.`, `mkdir -p ${shellWord(folder)}`)];
  }
  while (!existsSync(folder)) folder = dirname(folder);
  if (!may(folder, constants.W_OK | constants.X_OK)) {
    const mend = `Make it writable for this user, or name another place with --db: beside the store lie its log files.`;
    return [fault('folder_not_writable', `This user may not write into the folder ${folder}.`, mend)];
  }
  const findings: Finding[] = [];
  const { bavail, bsize } = statfsSync(folder);
  const freeMiB = Math.floor((bavail * bsize) / 1024 / 1024);
  if (bavail * bsize < LIMITS.walMaxBytes) {
    const mend = `Free some space: ${LIMITS.walMaxBytes / 1024 / 1024} MiB are needed for the write-ahead log alone.`;
    findings.push(fault('disk_full', `The disk of ${folder} has ${freeMiB} MiB left.`, mend));
  } else findings.push(ok('disk', `the disk has ${freeMiB} MiB left`));
  const link = lstatSync(dbPath, { throwIfNoEntry: false });
  if (link?.isSymbolicLink() === true && !existsSync(dbPath)) {
    const says = `${dbPath} is a link to ${readlinkSync(dbPath)}, and nothing is there.`;
    const mend = `Bring back what it leads to, or take the link away to begin anew: rm ${shellWord(dbPath)}`;
    return [...findings, fault('dangling_link', says, mend)];
  }
  if (!existsSync(dbPath)) return [...findings, note('no_store', `There is no store yet; the first start makes it.`)];
  const found = statSync(dbPath);
  if (found.isFile() && !may(dbPath, constants.R_OK | constants.W_OK)) {
    findings.push(
      fault('read_only', `This user may not read and write ${dbPath}.`, `chmod 600 ${shellWord(dbPath)}, as its owner`),
    );
  }
  if (process.platform !== 'win32' && found.isFile() && (found.mode & 0o077) !== 0) {
    findings.push(
      note('store_open', `Other users of this machine can read ${dbPath}.`, `chmod 600 ${shellWord(dbPath)}`),
    );
  }
  return findings;
}

/** Copies that were kept before a change of the schema or an import, and a store of an early version elsewhere. */
function keptCopies({ dbPath }: Config, { environment }: Call): Finding[] {
  const folder = dirname(dbPath);
  const beside = existsSync(folder) ? readdirSync(folder).toSorted() : [];
  const kept = (mark: string): string[] => beside.filter((name) => name.startsWith(basename(dbPath) + mark));
  const early = earlyStorePath(environment);
  return [
    ...[
      ...kept('.before-v').map((name) => ({ name, is: 'a copy from before a change of the schema' })),
      ...kept('.mimir-2.1').map((name) => ({ name, is: 'the original database from before its import' })),
      ...['.mimir-building', '.mimir-copy', '.mimir-trial'].flatMap((mark) =>
        kept(mark).map((name) => ({ name, is: 'part of an import or export that goes on, or was cut off' })),
      ),
    ].map(({ name, is }) =>
      note('kept_copy', `${join(folder, name)} is ${is}.`, `When all is well: rm ${shellWord(join(folder, name))}`),
    ),
    ...(early !== null && early !== dbPath && existsSync(early)
      ? [note('early_store', `There is an older store at ${early}.`, `To use it: --db ${shellWord(early)}`)]
      : []),
  ];
}

/** Who else has the file; known on Linux only, and only of processes that this user may look into. That is no fault. */
function othersWith(dbPath: string): Finding[] {
  if (process.platform !== 'linux') return [];
  const path = realpathSync(dbPath);
  const holds = (pid: string): boolean => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path);
    } catch {
      return false; // it has ended meanwhile, or belongs to somebody else
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid) && holds(name))
    .map((pid) => note('in_use', `Process ${pid} (${nameOf(pid)}) has the store open; that is allowed.`));
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'ended meanwhile';
  }
}

const AHEAD_MS = 5 * 60_000;

async function examineStore(store: OpenStore): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    const { problems, problemCount, operations, newestMs, indexIsCurrent } = await store.examine();
    if (!indexIsCurrent) findings.push(note('index_old', INDEX_OLD));
    if (problemCount > 0) {
      const more = problemCount > 3 ? `, and ${problemCount - 3} more (mimir verify)` : '';
      const says = `The store does not agree with itself: ${problems.slice(0, 3).join('; ')}${more}.`;
      findings.push(fault('corrupt', says, restoreAdvice(problemCount)));
    } else findings.push(ok('store', `all ${operations} operations of the store agree`));
    if (newestMs !== null && newestMs > systemClock.nowMs() + AHEAD_MS) {
      const says = `The newest operation was written at ${new Date(newestMs).toISOString()}, which is still to come.`;
      findings.push(
        fault(
          'clock',
          says,
          'Set the clock of this machine. Times in the store never go back, so they stand still until then.',
        ),
      );
    }
    await store.probeWrite();
    findings.push(ok('writing', 'the store can be written to'));
  } catch (thrown) {
    findings.push(faultOf(thrown));
  }
  return findings;
}

/** Asks each model that was named for as little as shows that it works; nothing of the store is sent. */
async function examineModels({ embedding, language }: Config, store: OpenStore): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (embedding !== null && (embedding.background || embedding.named)) {
    const { source } = embedding;
    const isFolder = source.kind === 'folder';
    findings.push(
      await examineModel('embedding_model', isFolder ? '--embedding-model' : '--embedding-endpoint', async () => {
        const dimensions = await store.probeEmbedding(isFolder ? LIMITS.probeLocalMs : LIMITS.probeRemoteMs);
        return `the embedding model ${isFolder ? source.folder : source.model} answers, in ${dimensions} dimensions`;
      }),
    );
  }
  if (language !== null) {
    findings.push(
      await examineModel('language_model', '--llm-endpoint', async () => {
        await store.probeLanguage(LIMITS.probeRemoteMs);
        return `the language model ${language.model} is there`;
      }),
    );
  }
  return findings;
}

async function examineModel(check: string, flag: string, probe: () => Promise<string>): Promise<Finding> {
  try {
    return ok(check, await probe());
  } catch (thrown) {
    if (!(thrown instanceof MimirError) || thrown.kind === 'bug') throw thrown;
    const start = `Start that server, look into its log, or name another one with ${flag}.`;
    const mend = thrown.code === 'provider_down' ? start : (thrown.hint ?? start);
    return fault(check, `The ${check.replace('_', ' ')} does not work. ${thrown.message}`, mend);
  }
}

async function examinePort({ host, port }: Config): Promise<Finding> {
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
  if (error === null) return ok('port', `${host}:${port} is free`);
  const why =
    error.code === 'EADDRINUSE' ? 'another program has it, perhaps a server of this store' : String(error.code);
  return fault(
    'port_taken',
    `Nobody can listen on ${host}:${port}: ${why}.`,
    'Stop that program, or name another port with --port.',
  );
}
