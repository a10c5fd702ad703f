import { z } from 'zod';
import { LIMITS } from '../limits.ts';

/** What a field asks beyond its type; `tools/input.ts` enforces it and none of it is published. */
export interface FieldRule {
  /** Longest text in UTF-8 bytes; of `any`, of its JSON. */
  readonly maxBytes?: number;
  /** The text itself must be JSON. */
  readonly json?: boolean;
  /** A number outside is moved to the nearer end, as the original does, and not refused. */
  readonly clamp?: readonly [least: number, most: number];
  /** A number outside is refused: where moving it would do more than was asked for. */
  readonly range?: readonly [least: number, most: number];
  /** Fractions are rounded up where an integer is due. */
  readonly roundUp?: boolean;
  /** An empty text is the same as none. */
  readonly emptyIsAbsent?: boolean;
  readonly itemsMax?: number;
  /** Read, and not listed: it has no effect any more, and every prompt would carry it. */
  readonly unlisted?: boolean;
  /** Another name that clients use; a value under it that is not text is taken as its JSON. */
  readonly alias?: string;
}

/** The rules of the fields, beside the schemas: what stands in a schema would be published with it. */
export const RULES = z.registry<FieldRule>();

/** An identity text: a name, an id, a path. */
export function name(description: string): z.ZodString {
  return z.string().describe(description).register(RULES, { maxBytes: LIMITS.nameMaxBytes });
}

/** An optional text that narrows; empty does not narrow. */
export function filter(description: string): z.ZodOptional<z.ZodString> {
  return z
    .string()
    .describe(description)
    .register(RULES, { maxBytes: LIMITS.nameMaxBytes, emptyIsAbsent: true })
    .optional();
}

/** A text with rules of its own. */
export function text(description: string, rule: FieldRule): z.ZodString {
  return z.string().describe(description).register(RULES, rule);
}

/** A list of identity texts. */
export function names(description: string, itemsMax: number): z.ZodArray<z.ZodString> {
  return z.array(z.string()).describe(description).register(RULES, { itemsMax, maxBytes: LIMITS.nameMaxBytes });
}

/** A list of objects. */
export function objects<T extends z.ZodObject>(description: string, itemsMax: number, item: T): z.ZodArray<T> {
  return z.array(item).describe(description).register(RULES, { itemsMax });
}

/** An integer that is moved into its range. */
export function clamped(description: string, least: number, most: number): z.ZodInt {
  return z
    .int()
    .describe(description)
    .register(RULES, { clamp: [least, most] });
}

/** An integer that is refused outside its range. */
export function within(description: string, least: number, most: number): z.ZodInt {
  return z
    .int()
    .describe(description)
    .register(RULES, { range: [least, most] });
}

/** Any number, moved into its range when one is given. */
export function number(description: string, clamp?: readonly [number, number]): z.ZodNumber {
  return z
    .number()
    .describe(description)
    .register(RULES, clamp === undefined ? {} : { clamp });
}

/** A number of the original that has nothing left to do: read, and not listed. */
export function withoutEffect(): z.ZodOptional<z.ZodNumber> {
  return z.number().describe('No effect.').register(RULES, { unlisted: true }).optional();
}

/** Yes or no. */
export function flag(description: string): z.ZodBoolean {
  return z.boolean().describe(description);
}

/** Any JSON. Published as an object, as the original does: some clients want a type. */
export function anyJson(description: string, maxBytes: number): z.ZodUnknown {
  return z.unknown().meta({ description, type: 'object' }).register(RULES, { maxBytes });
}

/** The workspace of a write. */
export const workspaceHash = name('Workspace, default "".').optional();

/** The field of every tool that writes. */
export const idempotencyKey = text('Makes a retry safe.', {
  maxBytes: LIMITS.nameMaxBytes,
  emptyIsAbsent: true,
}).optional();
