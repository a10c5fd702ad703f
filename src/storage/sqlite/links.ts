import type { Link } from '../../memory/types.ts';
import type { Session } from './session.ts';

/** Open links of a row, in the order they were made. */
export function linksOf(s: Session, row: number): Link[] {
  return s.sql
    .all<{ target: string; relationship: string; weight: number }>(
      'SELECT target, relationship, weight FROM link WHERE entity = ? AND seq_to IS NULL ORDER BY id',
      row,
    )
    .map(({ target, relationship, weight }) => ({ targetId: target, relationship, weight }));
}
