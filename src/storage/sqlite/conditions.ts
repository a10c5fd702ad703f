import type { Filters, Scope } from '../../memory/types.ts';

/** SQL conditions on an `entity e`, with their values in order. */
export interface Conditions {
  readonly conditions: string[];
  readonly values: unknown[];
}

/** Conditions on an `entity e` that scope and filters set, except those the index itself knows. */
export function entityConditions(scope: Scope, filters: Filters): Conditions {
  const conditions: string[] = [];
  const values: unknown[] = [];
  const { principal } = scope;
  if (principal.kind === 'bound') {
    conditions.push(
      `(CASE WHEN e.visibility = 'private' THEN e.workspace = ? AND e.agent_id = ? ELSE e.workspace = ? OR e.visibility = 'public' END)`,
    );
    values.push(principal.workspace, principal.agentId, principal.workspace);
  }
  if (filters.type !== undefined) {
    conditions.push('e.type = ?');
    values.push(filters.type);
  }
  if (filters.agentId !== undefined) {
    conditions.push('e.agent_id = ?');
    values.push(filters.agentId);
  }
  if (filters.alwaysOn !== undefined) {
    conditions.push('e.always_on = ?');
    values.push(Number(filters.alwaysOn));
  }
  if (filters.topicPrefix !== undefined) {
    conditions.push('substr(e.topic_path, 1, ?) = ?');
    values.push(Array.from(filters.topicPrefix).length, filters.topicPrefix);
  }
  return { conditions, values };
}

/** {@link entityConditions}, and those that the text index knows by itself. */
export function placeConditions(scope: Scope, filters: Filters): Conditions {
  const { conditions, values } = entityConditions(scope, filters);
  if (filters.includeArchived !== true) conditions.push('e.archived = 0');
  if (scope.workspace !== null) {
    conditions.push('e.workspace = ?');
    values.push(scope.workspace);
  }
  if (filters.category !== undefined) {
    conditions.push('e.category = ?');
    values.push(filters.category);
  }
  return { conditions, values };
}
