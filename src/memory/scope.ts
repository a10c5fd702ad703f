import type { Principal, Scope } from './types.ts';

/** The whole store, as its owner sees it. */
export const OWNER: Principal = { kind: 'owner' };

/** What the access rule looks at. */
export interface Owned {
  readonly workspace: string;
  readonly visibility: string;
  readonly agentId: string;
}

/**
 * The one access rule. The owner sees all; a bound principal its own workspace and `public` rows of others; a `private`
 * row only when its agent is the principal's. A workspace in the scope narrows further, for everybody.
 */
export function mayRead(scope: Scope, row: Owned): boolean {
  if (scope.workspace !== null && row.workspace !== scope.workspace) return false;
  const { principal } = scope;
  if (principal.kind === 'owner') return true;
  if (row.visibility === 'private') return row.workspace === principal.workspace && row.agentId === principal.agentId;
  return row.workspace === principal.workspace || row.visibility === 'public';
}

/** Whether the scope may write into this workspace. */
export function mayWrite(scope: Scope, workspace: string): boolean {
  return scope.principal.kind === 'owner' || scope.principal.workspace === workspace;
}
