import { z } from 'zod';
import type { Clock } from '../clock.ts';
import type { Access, CallOptions } from '../engine/operation.ts';
import { OPERATIONS, type Execute, type OperationName } from '../engine/operations.ts';
import type { UsageNotes } from '../engine/usage.ts';
import type { Scope } from '../memory/types.ts';
import type { LanguageModel } from '../provider/language-model.ts';
import type { Meaning } from '../provider/meaning.ts';
import type { Connectors } from '../sources/connectors.ts';
import { fieldsOf, invalidArgument, listedSchema, publishedSchema, readArguments } from './input.ts';
import type { Caller, ToolAnnotations, ToolListing } from './types.ts';

/** Where a tool is shown: to everybody, or only where all tools are asked for. Every tool can be called always. */
export type Profile = 'core' | 'all';

/** What is true of the running server. */
export interface ServerFacts {
  readonly dbPath: string;
  readonly encrypted: boolean;
  readonly version: string;
}

/** Where files are that tools read and write. */
export interface Folders {
  /** The same path, with the home folder in the place of a `~`. Throws `invalid_argument` when there is no home folder. */
  atHome(path: string): string;
  /** The folder of a vault that nobody names; who calls over a network can name only what is in it. Throws likewise. */
  vault(): string;
}

/** What a tool works with. */
export interface ToolDeps {
  readonly execute: Execute;
  readonly usage: UsageNotes;
  readonly clock: Clock;
  readonly facts: ServerFacts;
  readonly folders: Folders;
  /** The embedding model; absent when none is set. */
  readonly meaning?: Meaning;
  /** The language model; absent when none is set. */
  readonly language?: LanguageModel;
  /** What brings documents in; absent when none is set. */
  readonly connectors?: Connectors;
}

/** The JSON text of an object; with another `text` for the model where that can leave out what stands there twice. */
export type Rendered = string | { readonly json: string; readonly text: string };

/** Everything that is true of one tool. */
export interface ToolBlock<S extends z.ZodObject> {
  readonly name: string;
  readonly title: string;
  /** The first sentence says when to use it. */
  readonly description: string;
  /** A paragraph for people, in docs/tools.md. */
  readonly about: string;
  /** Arguments of the example there. */
  readonly example: z.input<S>;
  readonly input: S;
  readonly annotations: ToolAnnotations;
  readonly profile: Profile;
  /**
   * What it carries out. When it is several operations, what its client sends on the same connection waits meanwhile; when it
   * waits for somebody else's server, nobody waits for it.
   */
  readonly operation: OperationName | 'several' | 'network';
  readonly run: (args: z.output<S>, caller: Caller, deps: ToolDeps) => Promise<Rendered>;
}

/** A tool as the table keeps it: its input type is inside. */
export interface Tool {
  readonly listing: ToolListing;
  readonly about: string;
  readonly example: unknown;
  readonly profile: Profile;
  /** What it needs; `network` waits for others and holds up nobody. */
  readonly access: Access | 'network';
  /** Reads the arguments and runs; rejects with a `MimirError` that says what is wrong. */
  readonly run: (args: unknown, caller: Caller, deps: ToolDeps) => Promise<Rendered>;
}

function accessOf(operation: ToolBlock<z.ZodObject>['operation']): Tool['access'] {
  if (operation === 'network') return 'network';
  return operation === 'several' ? 'exclusive' : OPERATIONS[operation].access;
}

/** Declares a tool. Its JSON Schema is made here, once. */
export function defineTool<S extends z.ZodObject>(block: ToolBlock<S>): Tool {
  const { name, title, description, annotations, input, profile, operation, about, example } = block;
  const schema = publishedSchema(input);
  const fields = fieldsOf(input, schema);
  const inputSchema = listedSchema(schema, fields);
  const spoken = name.replace(/^mimir_/, '');
  return {
    listing: { name, title, description, inputSchema: { ...inputSchema }, annotations },
    profile,
    about,
    example,
    access: accessOf(operation),
    run: async (args, caller, deps) => {
      const parsed = input.safeParse(readArguments(spoken, fields, args));
      if (parsed.success) return block.run(parsed.data, caller, deps);
      const path = parsed.error.issues[0]?.path.join('.') ?? 'arguments';
      throw invalidArgument(
        spoken,
        path,
        'is not right',
        fields.find((field) => field.name === path)?.allowed ?? 'as described',
      );
    },
  };
}

/** The scope of a call, narrowed to a workspace when one is given. */
export function scopeOf(caller: Caller, workspace: string | undefined): Scope {
  const { principal, client } = caller;
  return {
    principal,
    workspace: workspace ?? null,
    actor: principal.kind === 'owner' ? 'owner' : principal.agentId,
    client,
  };
}

/** How a call is to be carried out. */
export function optionsOf(caller: Caller, key?: string): CallOptions {
  return {
    ...(caller.signal !== undefined && { signal: caller.signal }),
    ...(caller.progress !== undefined && { progress: caller.progress }),
    ...(key !== undefined && { idempotencyKey: key }),
  };
}

/** A tool that only reads. */
export const READS: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};
/** A tool that adds: nothing is lost by it, calling it twice adds twice or counts twice. */
export const ADDS: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
};
/** A tool that sets: twice is the same as once, and nothing else is lost. */
export const SETS: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};
/** A tool that takes something away or replaces it. */
export const REMOVES: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: false,
};
