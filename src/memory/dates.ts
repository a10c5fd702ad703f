/** Milliseconds of a day. */
export const DAY_MS = 86_400_000;
const MONTHS = 'january february march april may june july august september october november december'.split(' ');
const MONTH =
  '(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)';
const WEEKDAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');
const COUNTS = 'zero one two three four five six seven eight nine ten eleven twelve'.split(' ');

/** Days from one to another, both included, counted from 1970. */
export interface DaySpan {
  readonly from: number;
  readonly to: number;
  /** How exactly it was named. */
  readonly unit: 'day' | 'week' | 'month' | 'year';
}

/** The day of an ISO 8601 date, counted from 1970; 0 when it is none. */
export function parseDay(value: unknown): number {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}/.test(value)) return 0;
  const ms = Date.parse(`${value.slice(0, 10)}T00:00:00Z`);
  return Number.isNaN(ms) ? 0 : Math.floor(ms / DAY_MS);
}

const TIME = new RegExp(
  `\\b(?:yesterday|today|tonight|tomorrow|last|next|ago|week|weekend|month|year|${WEEKDAYS.join('|')}|${MONTHS.filter((name) => name !== 'may' && name !== 'march').join('|')}|\\d{4}|\\d{1,2}(?:st|nd|rd|th))\\b`,
  'i',
);

/** Whether a text says when something was. */
export function mentionsTime(text: string): boolean {
  return TIME.test(text);
}

/** The day of a moment (Unix milliseconds, UTC), counted from 1970. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

function calendarDay(year: number, month: number, day: number): number {
  return dayOf(Date.UTC(year, month, day));
}

function monthSpan(year: number, month: number): DaySpan {
  return { from: calendarDay(year, month, 1), to: calendarDay(year, month + 1, 0), unit: 'month' };
}

function yearSpan(year: number): DaySpan {
  return { from: calendarDay(year, 0, 1), to: calendarDay(year, 11, 31), unit: 'year' };
}

function oneDay(day: number): DaySpan {
  return { from: day, to: day, unit: 'day' };
}

/** How far ahead a day without a year is still an appointment. */
const AHEAD_DAYS = 180;

/** The latest such month that is not after now, and the next one when it is near; a given year decides. */
function named(month: number, year: number | undefined, now: Date): DaySpan[] {
  if (year !== undefined) return [monthSpan(year, month)];
  const ahead = (month - now.getUTCMonth() + 12) % 12;
  const past = monthSpan(now.getUTCFullYear() - (month > now.getUTCMonth() ? 1 : 0), month);
  return ahead === 0 || ahead * 30 > AHEAD_DAYS
    ? [past]
    : [past, monthSpan(now.getUTCFullYear() + (month < now.getUTCMonth() ? 1 : 0), month)];
}

function monthNumber(name: string): number {
  return MONTHS.findIndex((month) => month.startsWith(name.toLowerCase().slice(0, 3)));
}

/** Every form below has one of these; most queries have none, and pay for one look instead of fifteen. */
const MAY_NAME_A_DAY =
  /\d|\b(?:yesterday|today|tonight|ago|before|back|last|past|previous|this)\b|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)/i;

/** What `text` says of days, in English, seen from `nowMs` (Unix milliseconds, UTC). Empty when it says nothing. */
export function parseSpans(text: string, nowMs: number): DaySpan[] {
  if (!MAY_NAME_A_DAY.test(text)) return [];
  const now = new Date(nowMs);
  const today = Math.floor(nowMs / DAY_MS);
  const spans: DaySpan[] = [];
  let rest = text;
  const each = (pattern: RegExp, read: (match: RegExpMatchArray) => DaySpan | readonly DaySpan[] | undefined): void => {
    rest = rest.replace(pattern, (...args: unknown[]) => {
      const groups = args.slice(
        0,
        args.findIndex((one) => typeof one === 'number'),
      ) as string[];
      const span = read(groups as unknown as RegExpMatchArray);
      if (span !== undefined) spans.push(...[span].flat());
      return span === undefined ? (groups[0] ?? '') : ' ';
    });
  };
  const yearIn = (text_: string | undefined): number | undefined => (text_ === undefined ? undefined : Number(text_));
  each(/\b(\d{4})-(\d{2})-(\d{2})\b/g, ([, year, month, day]) =>
    oneDay(calendarDay(Number(year), Number(month) - 1, Number(day))),
  );
  const dated = (month: string | undefined, day: string | undefined, year: string | undefined): DaySpan | undefined => {
    const at = monthNumber(month ?? '');
    const number = Number(day);
    if (number < 1 || number > 31) return undefined;
    if (year !== undefined) return oneDay(calendarDay(Number(year), at, number));
    // Without a year it may be the last such day or the next: what was, or an appointment.
    const thisYear = calendarDay(now.getUTCFullYear(), at, number);
    const next = thisYear >= today ? thisYear : calendarDay(now.getUTCFullYear() + 1, at, number);
    if (next - today <= AHEAD_DAYS) spans.push(oneDay(next));
    return oneDay(thisYear < today ? thisYear : calendarDay(now.getUTCFullYear() - 1, at, number));
  };
  each(
    new RegExp(`\\b${MONTH}\\.? (\\d{1,2})(?:st|nd|rd|th)?\\b(?!:)(?:,? (\\d{4})\\b)?`, 'gi'),
    ([, month, day, year]) => dated(month, day, year),
  );
  each(
    new RegExp(`\\b(\\d{1,2})(?:st|nd|rd|th)? (?:of )?${MONTH}\\b\\.?(?:,? (\\d{4})\\b)?`, 'gi'),
    ([, day, month, year]) => dated(month, day, year),
  );
  each(new RegExp(`\\b${MONTH}\\b,? (?:of )?(\\d{4})\\b`, 'gi'), ([, month, year]) =>
    named(monthNumber(month ?? ''), yearIn(year), now),
  );
  // "may" and "march" are words too: as months they stand behind a preposition.
  each(
    new RegExp(`\\b(?:in|during|since|of|by|this|last|early|late|mid) (?:early |late |mid-?)?${MONTH}\\b`, 'gi'),
    ([, month]) => named(monthNumber(month ?? ''), undefined, now),
  );
  each(/\b(?:in|during|of|since) (20\d{2}|19\d{2})\b/g, ([, year]) => yearSpan(Number(year)));
  each(/\b(?:the )?day before yesterday\b/gi, () => oneDay(today - 2));
  each(/\byesterday\b/gi, () => oneDay(today - 1));
  each(/\b(?:today|tonight)\b/gi, () => oneDay(today));
  each(
    new RegExp(`\\b(?:a|an|(\\d{1,3})|(${COUNTS.join('|')})) (day|week|month|year)s? (?:ago|before|back)\\b`, 'gi'),
    ([, digits, word, unit]) => {
      const count = digits !== undefined ? Number(digits) : word !== undefined ? COUNTS.indexOf(word.toLowerCase()) : 1;
      return back(count, unit?.toLowerCase() ?? 'day', now);
    },
  );
  each(/\b(last|past|previous|this) (week|month|year|weekend)\b/gi, ([, which, unit]) =>
    back(which?.toLowerCase() === 'this' ? 0 : 1, unit?.toLowerCase() ?? 'week', now),
  );
  each(new RegExp(`\\b(?:last |on |this past )(${WEEKDAYS.join('|')})\\b`, 'gi'), ([, name]) => {
    const behind = (now.getUTCDay() - WEEKDAYS.indexOf(name?.toLowerCase() ?? '') + 7) % 7;
    return oneDay(today - (behind === 0 ? 7 : behind));
  });
  return spans;
}

/** So many calendar units back; of a week all its days, since nobody counts exactly. */
function back(count: number, unit: string, now: Date): DaySpan {
  const today = Math.floor(now.getTime() / DAY_MS);
  if (unit === 'day') return oneDay(today - count);
  if (unit === 'month') {
    const at = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - count, 1));
    return monthSpan(at.getUTCFullYear(), at.getUTCMonth());
  }
  if (unit === 'year') return yearSpan(now.getUTCFullYear() - count);
  const monday = today - ((now.getUTCDay() + 6) % 7) - 7 * count;
  return { from: unit === 'weekend' ? monday + 5 : monday, to: monday + 6, unit: 'week' };
}

/** The last day that JavaScript's dates can hold (ECMA-262, section 21.4.1.1). */
const LAST_DAY = 100_000_000;

/** Day and month of each day, as tokens of the index; 0 has none. Asked for, they bring up what has no word in common. */
export function dateTokens(days: readonly number[]): string[] {
  const tokens = new Set<string>();
  for (const day of days) {
    // Day 0 stands for none; what no calendar has, such as a year of six digits, has no token.
    if (day === 0 || !(Math.abs(day) <= LAST_DAY)) continue;
    const date = new Date(day * DAY_MS).toISOString();
    tokens.add(date.slice(0, 10));
    tokens.add(date.slice(0, 7));
  }
  return [...tokens];
}

/** The tokens that rows of a span have; none for a year, which is no narrowing. */
export function spanTokens({ from, to, unit }: DaySpan): string[] {
  if (unit === 'year') return [];
  if (unit === 'month') return dateTokens([from]).slice(1);
  return Array.from({ length: to - from + 1 }, (_, i) => dateTokens([from + i])[0] ?? '');
}

/** How well a day fits a span, 0..1 (the steps of docs/retrieval.md); a text says what happened on, or soon after, its day. */
export function dayMatch(day: number, span: DaySpan): number {
  if (day === 0) return 0;
  if (day >= span.from && day <= span.to) return span.unit === 'year' ? 0.3 : 1;
  const after = day - span.to;
  if (span.unit === 'year') return 0;
  if (span.unit === 'month') return after > 0 && after <= 31 ? 0.5 : 0;
  if (after > 0 && after <= 7) return 0.6;
  return after > 0 && after <= 35 ? 0.25 : 0;
}
