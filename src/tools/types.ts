import type { Access } from '../engine/operation.ts';
import type { Origin, Principal, TellProgress } from '../memory/types.ts';

/** MCP annotations; all four are always given because the protocol's defaults are the pessimistic ones. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** One tool as `tools/list` shows it. */
export interface ToolListing {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: { readonly type: 'object' } & Readonly<Record<string, unknown>>;
  readonly annotations: ToolAnnotations;
}

/**
 * What a tool call answers. `json` is the structured answer as JSON text (always an object), so that a door can send it
 * without parsing it; `text` is what a model reads: the same JSON (without what stands in it twice), or for an error a sentence with its mend.
 */
export interface ToolAnswer {
  readonly json: string;
  readonly text: string;
  readonly isError: boolean;
}

/** Who calls, and how to stop. */
export interface Caller {
  readonly principal: Principal;
  /** Name of the client program, for the operation log. */
  readonly client: string;
  readonly signal?: AbortSignal;
  /** Hears how far a long call has come. */
  readonly progress?: TellProgress;
  /** It runs on this machine as this user, so that it may name any folder; otherwise only those in that of the vault. */
  readonly anyFolder?: boolean;
  /** Of what it stores; without it, that is an agent's. */
  readonly origin?: Origin;
}

/** The frozen table of tools: the same object stands behind every door. */
export interface ToolTable {
  /** What this process shows where nobody asks for a profile. */
  readonly list: readonly ToolListing[];
  /** The profile for every prompt: few tools, few bytes. */
  readonly core: readonly ToolListing[];
  readonly all: readonly ToolListing[];
  /**
   * What the tool needs, or undefined for a name that does not exist; `exclusive`: no other call of the connection meanwhile;
   * `network` waits for others and holds up nobody.
   */
  access(name: string): Access | 'network' | undefined;
  /**
   * Arguments are whatever the client sent. What a tool refuses or fails at is an answer with `isError`; it rejects only
   * with a `MimirError` of code `unknown_tool`, or `bug` with the incident in its sentence.
   */
  call(name: string, args: unknown, caller: Caller): Promise<ToolAnswer>;
}
