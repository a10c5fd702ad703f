import type { Config, Environment, FlagValues, StoreConfig } from '../config.ts';
import type { TellProgress } from '../memory/types.ts';
import type { ToolAnswer } from '../tools/types.ts';

/**
 * What a flag takes: nothing (`switch`), a text, several texts (`texts`, by repeating it), a list with commas (`list`), a path in
 * which `~` is the home folder, a number, or a whole number from 0 on (`count`).
 */
export type FlagKind = 'switch' | 'text' | 'texts' | 'list' | 'path' | 'number' | 'count';

/** One flag of a command. */
export interface Flag {
  readonly name: string;
  readonly kind: FlagKind;
  /** What the help calls its value; none for a switch. */
  readonly value?: string;
  readonly help: string;
  readonly required?: boolean;
  /** The largest count; without it, any. */
  readonly most?: number;
  /** Taken when it is not given. Written as a person would. */
  readonly fallback?: string;
  /** An empty text is a text; otherwise it is a mistake. */
  readonly mayBeEmpty?: boolean;
  /** Configurations of the original carry it, so it is accepted; this is what is not there yet. */
  readonly later?: string;
  /** Accepted, and nobody needs to know. */
  readonly hidden?: boolean;
  /** The argument of the tool that it sets; without it, it is no argument. */
  readonly field?: string;
}

/** What may follow a command without dashes. */
export interface Words {
  readonly name: string;
  readonly required: boolean;
  /** How many there may be. */
  readonly most: number;
}

/** A command line that was read. */
export interface Call {
  readonly values: FlagValues;
  readonly words: readonly string[];
  readonly environment: Environment | undefined;
}

/** One word of the command line: everything that is true of it. */
export interface Command {
  readonly word: string;
  /** One sentence, the first line of its help. */
  readonly summary: string;
  /** What else is worth knowing, a paragraph each. */
  readonly notes?: readonly string[];
  readonly words?: Words;
  readonly flags: readonly Flag[];
  /** The original has it too: its exit code is 1 whatever failed, once the command line was read. */
  readonly ofOriginal?: boolean;
  readonly example: string;
  /** Runs it; answers the exit code, or throws a `MimirError` whose kind has one. */
  readonly run: (call: Call, host: Host) => Promise<number> | number;
}

/** What a look at a whole store found. */
export interface Examination {
  /** What does not agree in chain, bodies, indexes and references: the first of it, a sentence each. */
  readonly problems: readonly string[];
  /** How many there are; 0 when all is well. */
  readonly problemCount: number;
  readonly operations: number;
  /** When the last operation was written, Unix milliseconds; null when there is none. */
  readonly newestMs: number | null;
  /** False while the text index of an older version is being made anew: its words could not be looked at. */
  readonly indexIsCurrent: boolean;
}

/** What another program left, and as what it is to come in. */
export interface ImportAsked {
  readonly from: string;
  readonly path: string;
  readonly category?: string;
  /** By `content`, `key`, `title` and `tags`: what a record calls it. */
  readonly map: Readonly<Record<string, string>>;
}

/** What came in, or would. */
export interface Imported {
  readonly changed: readonly string[];
  readonly examples: readonly string[];
  readonly forgotten: readonly string[];
  readonly unchanged: number;
  readonly notes: readonly string[];
  readonly errors: readonly string[];
}

/** What came over from a database of the original, or would. */
export interface BroughtOver {
  readonly entities: number;
  readonly journal: number;
  readonly state: number;
  readonly vectors: number;
  /** What was wrong in the original's file, a sentence each. */
  readonly mended: readonly string[];
  /** All of it in sentences for a person. */
  readonly lines: readonly string[];
}

/** What an export wrote. */
export interface Exported {
  readonly entities: number;
  readonly journal: number;
  readonly state: number;
  /** Memories that got a longer key. */
  readonly renamed: number;
}

/** A store with its tools. Nothing is opened before the first call. */
export interface OpenStore {
  /** Names of all tools that there are. */
  readonly toolNames: readonly string[];
  /** Whether a tool only reads: then a store that is not there is a mistake, and none is made. */
  onlyReads(tool: string): boolean;
  /** Which connectors are left out because of their settings, and why. */
  readonly connectorProblems: readonly string[];
  /** What stands in their settings and has no effect. */
  readonly connectorNotes: readonly string[];
  call(tool: string, args: unknown, progress?: TellProgress): Promise<ToolAnswer>;
  /** Reads everything and computes it again. */
  examine(progress?: TellProgress): Promise<Examination>;
  /** Writes the current state into a new file that the original opens. */
  exportOriginal(path: string, progress?: TellProgress): Promise<Exported>;
  /** Writes the whole store into a new file of JSON lines; answers how many. */
  exportLines(path: string, progress?: TellProgress): Promise<number>;
  /** Takes the write lock and gives it back; throws a `MimirError` that says why nothing can be written. */
  probeWrite(): Promise<void>;
  /** Has the embedding model of the settings embed one text; answers the dimensions. Throws a `MimirError` that says what is wrong. */
  probeEmbedding(deadlineMs: number): Promise<number>;
  /** Looks whether the language model of the settings is there. Likewise. */
  probeLanguage(deadlineMs: number): Promise<void>;
  /** Brings in what another program left; `looked` is told how many documents were looked at. */
  bringIn(asked: ImportAsked, dryRun: boolean, looked: TellProgress): Promise<Imported>;
  close(): Promise<void>;
}

/** Which store is opened, and how. */
export interface OpenSettings
  extends StoreConfig, Partial<Pick<Config, 'tools' | 'embedding' | 'language' | 'connectors'>> {
  /** False: a database of the original is refused (`original_store`) instead of imported. */
  readonly importOriginal?: boolean;
  /** True: what is called changes nothing, so no store is made, and none of the original is imported. */
  readonly isDry?: boolean;
}

/** Hears how far a new store has come: how much of the export is read, and then how much of it is checked. */
export interface RestoreWatch {
  readonly read: TellProgress;
  readonly checked: TellProgress;
}

/** What a command may ask of the program around it. */
export interface Host {
  readonly version: string;
  /** Throws `invalid_argument` when a name in `tools` is none. */
  open(settings: OpenSettings): Promise<OpenStore>;
  /** Makes a new store of an export; answers how many rows. Throws `exists` when there is a file at its place. */
  restore(config: StoreConfig, from: string, watch: RestoreWatch): Promise<number>;
  /**
   * Makes a new store of a database of the original, which stays where it is; a dry run makes it beside that, compares, and throws it
   * away. Throws `exists` when there is a file at its place.
   */
  bringOver(config: StoreConfig, from: string, isDry: boolean, progress: TellProgress): Promise<BroughtOver>;
  /** Serves until the clients are gone; ends the process. `notes` are told on stderr once it stands. */
  serve(config: Config, notes: readonly string[]): Promise<void>;
}
