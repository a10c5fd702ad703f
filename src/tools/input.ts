import { z } from 'zod';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { nestsDeeperThan, valueNestsDeeperThan } from '../memory/json.ts';
import { RULES, type FieldRule } from './fields.ts';

/** A JSON Schema as far as we read it. */
export interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly items?: JsonSchema;
}

type Kind = 'text' | 'integer' | 'number' | 'boolean' | 'list' | 'object' | 'any';

/** One field, prepared for reading. */
export interface Field {
  readonly name: string;
  readonly kind: Kind;
  readonly required: boolean;
  readonly rule: FieldRule;
  readonly words: readonly string[] | undefined;
  readonly fields: readonly Field[];
  /** What is allowed, as a part of a sentence. */
  readonly allowed: string;
}

const KINDS: Readonly<Record<string, Kind>> = {
  string: 'text',
  integer: 'integer',
  number: 'number',
  boolean: 'boolean',
  array: 'list',
  object: 'object',
};

/** The published JSON Schema of a zod object: flat, without what only validators of our own output would need. */
export function publishedSchema(schema: z.ZodObject): JsonSchema & { readonly type: 'object' } {
  const published: unknown = JSON.parse(
    JSON.stringify(z.toJSONSchema(schema, { io: 'input' })),
    (key, value: unknown) => {
      if (key === '$schema' || key === 'additionalProperties') return undefined;
      // What the members of a list are like is said where one of them is taken alone.
      if (key === 'items') return undescribed(value);
      return value === Number.MAX_SAFE_INTEGER || value === Number.MIN_SAFE_INTEGER ? undefined : value;
    },
  );
  return published as JsonSchema & { readonly type: 'object' };
}

/** The schema as clients are shown it: without the fields that have no effect any more. */
export function listedSchema<S extends JsonSchema>(schema: S, fields: readonly Field[]): S {
  const hidden = new Set(fields.filter(({ rule }) => rule.unlisted === true).map(({ name }) => name));
  const listed = Object.entries(schema.properties ?? {}).filter(([name]) => !hidden.has(name));
  return { ...schema, properties: Object.fromEntries(listed) };
}

function undescribed(items: unknown): unknown {
  const text = JSON.stringify(items, (key, value: unknown) => (key === 'description' ? undefined : value));
  return JSON.parse(text) as unknown;
}

/** Prepares the fields of a zod object from its JSON Schema and the rules beside it. */
export function fieldsOf(schema: z.ZodObject, published: JsonSchema): Field[] {
  return Object.entries(schema.shape).map(([name, declared]) => {
    const inner = unwrapped(declared);
    const json = published.properties?.[name] ?? {};
    const rule = RULES.get(inner) ?? {};
    const kind: Kind = inner instanceof z.ZodUnknown ? 'any' : (KINDS[json.type ?? ''] ?? 'any');
    const fields = membersOf(inner, json);
    const required = published.required?.includes(name) ?? false;
    const allowed =
      kind === 'list' && fields.length > 0
        ? `a list of at most ${rule.itemsMax ?? 0} objects`
        : allowedOf(kind, rule, json.enum);
    return { name, kind, required, rule, words: json.enum, fields, allowed };
  });
}

/** The fields of an object, or of the objects in a list. */
function membersOf(schema: z.core.$ZodType, json: JsonSchema): Field[] {
  if (schema instanceof z.ZodObject) return fieldsOf(schema, json);
  if (!(schema instanceof z.ZodArray)) return [];
  const element = unwrapped(schema.element);
  return element instanceof z.ZodObject ? fieldsOf(element, json.items ?? {}) : [];
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault) inner = inner.def.innerType;
  return inner;
}

function allowedOf(kind: Kind, rule: FieldRule, words: readonly string[] | undefined): string {
  const bytes = rule.maxBytes === undefined ? '' : ` of at most ${rule.maxBytes} bytes`;
  const depth = `nested at most ${LIMITS.jsonDepthMax} deep`;
  switch (kind) {
    case 'text':
      if (words !== undefined) return `one of ${words.join(', ')}`;
      return rule.json === true ? `JSON as text${bytes}, ${depth}` : `text${bytes}`;
    case 'integer':
      return `an integer${rangeOf(rule)}`;
    case 'number':
      return `a number${rangeOf(rule)}`;
    case 'boolean':
      return 'true or false';
    case 'list':
      return `a list of at most ${rule.itemsMax ?? 0} texts${bytes} each`;
    case 'object':
      return 'an object';
    case 'any':
      return `JSON${bytes}, ${depth}`;
  }
}

function rangeOf({ range }: FieldRule): string {
  if (range === undefined) return '';
  return range[1] === Number.MAX_SAFE_INTEGER ? ` of at least ${range[0]}` : ` from ${range[0]} to ${range[1]}`;
}

/** An error about one argument. Says what is allowed and never what was sent. */
export function invalidArgument(tool: string, path: string, problem: string, allowed: string): MimirError {
  return new MimirError(
    'invalid_argument',
    `Invalid ${tool} arguments: \`${path}\` ${problem}; it must be ${allowed}.`,
    {
      facts: { field: path },
    },
  );
}

/**
 * Reads arguments leniently: null is absent, numbers may come as text, unknown fields are ignored, what the original
 * clamps is clamped. What is left wrong is an `invalid` error that names the field. `tool` is the name for sentences.
 */
export function readArguments(tool: string, fields: readonly Field[], args: unknown): Record<string, unknown> {
  if (args === undefined || args === null) return readObject(tool, fields, {}, '');
  if (typeof args !== 'object' || Array.isArray(args)) {
    throw new MimirError(
      'invalid_argument',
      `Invalid ${tool} arguments: they are ${typeName(args)}; they must be an object with named members.`,
      {
        facts: { field: 'arguments' },
      },
    );
  }
  return readObject(tool, fields, args as Readonly<Record<string, unknown>>, '');
}

function readObject(
  tool: string,
  fields: readonly Field[],
  from: Readonly<Record<string, unknown>>,
  prefix: string,
): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const field of fields) {
    let path = prefix + field.name;
    let value = from[field.name];
    if ((value === undefined || value === null) && field.rule.alias !== undefined) {
      const other = from[field.rule.alias];
      if (other !== undefined && other !== null) {
        path = prefix + field.rule.alias;
        value = field.kind === 'text' && typeof other !== 'string' ? serialised(tool, path, field, other) : other;
      }
    }
    if (value === undefined || value === null || (value === '' && field.rule.emptyIsAbsent === true)) {
      if (field.required) throw invalidArgument(tool, path, 'is missing', field.allowed);
      continue;
    }
    read[field.name] = readField(tool, path, field, value);
  }
  return read;
}

function readField(tool: string, path: string, field: Field, value: unknown): unknown {
  switch (field.kind) {
    case 'text':
      return readText(tool, path, field, value);
    case 'integer':
    case 'number':
      return readNumber(tool, path, field, value);
    case 'boolean':
      if (typeof value === 'boolean') return value;
      if (value === 'true' || value === 'false') return value === 'true';
      throw wrongType(tool, path, field, value);
    case 'list':
      if (!Array.isArray(value)) throw wrongType(tool, path, field, value);
      if (value.length > (field.rule.itemsMax ?? 0))
        throw invalidArgument(tool, path, 'has too many members', field.allowed);
      if (field.fields.length > 0)
        return value.map((item: unknown, i) => readMember(tool, `${path}[${i}]`, field, item));
      return value.map((item: unknown, i) =>
        readText(tool, `${path}[${i}]`, { ...field, allowed: allowedOf('text', field.rule, undefined) }, item),
      );
    case 'object':
      return readMember(tool, path, field, value);
    case 'any':
      serialised(tool, path, field, value);
      return value;
  }
}

function readMember(tool: string, path: string, field: Field, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongType(tool, path, { ...field, allowed: 'an object' }, value);
  return readObject(tool, field.fields, value as Readonly<Record<string, unknown>>, `${path}.`);
}

function readText(tool: string, path: string, field: Field, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(tool, path, field, value);
  const { maxBytes = LIMITS.nameMaxBytes, json } = field.rule;
  // A UTF-16 unit makes at most three bytes, so that most texts need no counting.
  if (value.length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes)
    throw invalidArgument(tool, path, 'is too long', field.allowed);
  if (value.includes('\0'))
    throw invalidArgument(tool, path, 'contains a NUL character', `${field.allowed}, without NUL`);
  if (!value.isWellFormed())
    throw invalidArgument(tool, path, 'contains half of a surrogate pair', `${field.allowed}, well-formed Unicode`);
  if (field.words !== undefined && !field.words.includes(value))
    throw invalidArgument(tool, path, 'is another word', field.allowed);
  if (json === true) {
    if (nestsDeeperThan(value, LIMITS.jsonDepthMax))
      throw invalidArgument(tool, path, 'is nested too deep', field.allowed);
    if (!isPortableJson(value)) throw invalidArgument(tool, path, 'is not valid JSON', field.allowed);
  }
  return value;
}

/** What can be JSON and yet stop another parser: an escaped half of a surrogate pair, a number beyond all floats. */
const SUSPICIOUS = /\\u[dD][89a-fA-F]|[eE]\+?\d{3}|\d{300}/;

/** Whether every JSON parser takes this text; an answer repeats it, and one bad field would spoil the whole answer. */
function isPortableJson(text: string): boolean {
  try {
    if (!SUSPICIOUS.test(text)) {
      JSON.parse(text);
      return true;
    }
    let portable = true;
    JSON.parse(text, (name, value: unknown) => {
      if (!name.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) portable = false;
      if (typeof value === 'number' && !Number.isFinite(value)) portable = false;
      return value;
    });
    return portable;
  } catch {
    // The parser's own message quotes the text, so it is not passed on.
    return false;
  }
}

const NUMBER_TEXT = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
const NUMBER_TEXT_MAX = 64;

function readNumber(tool: string, path: string, field: Field, value: unknown): number {
  let read = Number.NaN;
  if (typeof value === 'number') read = value;
  else if (typeof value === 'string' && value.length <= NUMBER_TEXT_MAX && NUMBER_TEXT.test(value.trim()))
    read = Number(value);
  else throw wrongType(tool, path, field, value);
  const { clamp, range, roundUp } = field.rule;
  if (Number.isNaN(read)) throw wrongType(tool, path, field, value);
  if (field.kind === 'integer') {
    if (roundUp === true) read = Math.ceil(read);
    if (Number.isFinite(read) && !Number.isInteger(read))
      throw invalidArgument(tool, path, 'is a fraction', field.allowed);
  }
  if (clamp !== undefined) read = Math.min(clamp[1], Math.max(clamp[0], read));
  if (!Number.isFinite(read) || (field.kind === 'integer' && !Number.isSafeInteger(read)))
    throw invalidArgument(tool, path, 'is too large', field.allowed);
  if (range !== undefined && (read < range[0] || read > range[1]))
    throw invalidArgument(tool, path, 'is out of range', field.allowed);
  // -0 would come out as another text than 0.
  return read === 0 ? 0 : read;
}

function serialised(tool: string, path: string, field: Field, value: unknown): string {
  if (valueNestsDeeperThan(value, LIMITS.jsonDepthMax))
    throw invalidArgument(tool, path, 'is nested too deep', field.allowed);
  const json = JSON.stringify(value);
  const { maxBytes = LIMITS.nameMaxBytes } = field.rule;
  if (json.length * 3 > maxBytes && Buffer.byteLength(json) > maxBytes)
    throw invalidArgument(tool, path, 'is too long', field.allowed);
  return json;
}

function wrongType(tool: string, path: string, field: Field, value: unknown): MimirError {
  return invalidArgument(tool, path, `is ${typeName(value)}`, field.allowed);
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return 'a number';
  return typeof value === 'boolean' ? 'true or false' : 'an object';
}
