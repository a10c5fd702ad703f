import { MimirError } from '../errors.ts';
import { mayWrite } from '../memory/scope.ts';
import type { Entity, Scope } from '../memory/types.ts';
import type { Reader } from '../storage/store.ts';

/** Workspaces that an `ambiguous` error names. */
const NAMED_MAX = 20;

/** The workspace that is meant when a call names none: the principal's own, for the owner the nameless one. */
export function homeOf(scope: Scope): string {
  return scope.workspace ?? (scope.principal.kind === 'bound' ? scope.principal.workspace : '');
}

/** The same scope without its narrowing to one workspace: what the principal may see at all. */
export function widened(scope: Scope): Scope {
  return scope.workspace === null ? scope : { ...scope, workspace: null };
}

/**
 * The entity that a category and a key mean. With a workspace in the scope exactly the one there; otherwise the one at
 * home, else the only one that the scope may see, the workspace `besides` aside. Several are `ambiguous`: guessing would
 * change the wrong memory.
 */
export async function findNamed(
  tx: Reader,
  scope: Scope,
  category: string,
  key: string,
  besides?: string,
): Promise<Entity | undefined> {
  const home = homeOf(scope) === besides ? undefined : await tx.entityAt(scope, homeOf(scope), category, key);
  if (home !== undefined || scope.workspace !== null) return home;
  const workspaces = (await tx.workspacesOf(scope, category, key)).filter((workspace) => workspace !== besides);
  const [only] = workspaces;
  if (only === undefined) return undefined;
  if (workspaces.length === 1) return tx.entityAt(scope, only, category, key);
  throw new MimirError('ambiguous', 'Several workspaces have this category and key.', {
    facts: { workspaces: workspaces.slice(0, NAMED_MAX) },
  });
}

/** Refuses a write into a workspace that is not the principal's. */
export function requireWrite(scope: Scope, workspace: string): void {
  if (mayWrite(scope, workspace)) return;
  throw new MimirError('forbidden', 'This token may not write into that workspace.', {
    hint: 'Leave `workspace_hash` out, or use a token of that workspace.',
  });
}

/** Refuses what concerns the whole store to everybody but its owner. */
export function requireOwner(scope: Scope): void {
  if (scope.principal.kind === 'owner') return;
  throw new MimirError('forbidden', 'This token may not do what concerns the whole store.', {
    hint: 'Use the token of the owner.',
  });
}

/** The agent that a write is attributed to: a bound principal is always itself. */
export function agentOf(scope: Scope, asked: string | undefined): string | undefined {
  if (scope.principal.kind === 'owner') return asked;
  const own = scope.principal.agentId;
  if (asked === undefined || asked === '' || asked === own) return own;
  throw new MimirError('forbidden', 'This token belongs to another `agent_id`.', { hint: 'Leave `agent_id` out.' });
}
