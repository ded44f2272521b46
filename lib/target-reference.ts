import { MigratorError } from "./errors.ts";
import { asText, isRecord } from "./json.ts";
import { quoted } from "./text.ts";

/**
 * A database that a request names, by the place of its connection string. Never the string itself: those who may look at
 * an execution, or at a bucket, would have it.
 */
export type TargetReference = { readonly id: string } & Place;

/** The place of a connection string. */
export type Place =
  | { readonly secret: string; readonly field?: string }
  | { readonly parameter: string }
  | { readonly neon: NeonPlace }
  /** Another database on the server of the function's own connection string. */
  | { readonly database: string };

/** A database of a project of Neon. Its connection string is asked for by the API. */
export interface NeonPlace {
  readonly project: string;
  readonly database: string;
  readonly role: string;
  /** The branch's id. Default: the project's default branch. */
  readonly branch?: string;
}

/** The kinds of places, by the field that names them. */
export const PLACE_KINDS = ["secret", "parameter", "neon", "database"] as const;

/** One kind of a place. */
export type PlaceKind = (typeof PLACE_KINDS)[number];

/** Characters that nobody sees: two ids with and without one look the same. The last is the blank of Braille. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
/** The longest id, in characters. */
const MAX_ID_LENGTH = 200;
/** The longest name of a place: that of a parameter, with its ARN. */
const MAX_NAME_LENGTH = 2_048;

/** The signs of a connection string, or of a part of one. */
const CONNECTION_STRING = /:\/\/|postgres(?:ql)?:|\b(?:password|pwd|host|dbname)\s*=/i;
/** The names under which people send one. */
const URL_FIELDS = /^(?:database_?)?url$|connection_?(?:string|uri)|^uri$|^dsn$|password/i;

/**
 * Reads the target of a request. No message shows a part of a value that may be a connection string.
 * @throws MigratorError `REQUEST_INVALID`
 */
export function readTargetReference(value: unknown): TargetReference {
  const read = tryTargetReference(value);
  if ("reference" in read) return read.reference;
  throw new MigratorError("REQUEST_INVALID", `The request's target ${read.mistake}.`);
}

/** Reads a reference, or says what is wrong with it, as the predicate of a sentence. */
export function tryTargetReference(
  value: unknown,
): { readonly reference: TargetReference } | { readonly mistake: string } {
  try {
    return { reference: readReference(value) };
  } catch (thrown) {
    if (thrown instanceof Mistake) return { mistake: thrown.message };
    throw thrown;
  }
}

function readReference(value: unknown): TargetReference {
  if (holdsConnectionString(value)) throw new Mistake(CONNECTION_STRING_WORDS);
  if (!isRecord(value)) throw new Mistake(`is not an object such as ${EXAMPLE}`);
  const id = readId(value.id);
  const kinds = PLACE_KINDS.filter((kind) => value[kind] !== undefined);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    throw new Mistake(`names ${kinds.join(" and ") || "no place"}. It takes one of ${KINDS}`);
  }
  const fields = ["id", kind, ...(kind === "secret" ? ["field"] : [])];
  const unknown = Object.keys(value).find((name) => !fields.includes(name));
  if (unknown !== undefined)
    throw new Mistake(`has the field ${quoted(unknown)}. It takes ${fields.join(", ")}`);
  return { id, ...readPlace(kind, value) };
}

/** Deeper than any value of ours. What lies below is refused for what it is, and would exhaust the stack. */
const MAX_DEPTH = 32;

/** Whether a value has a connection string anywhere in it, or a field for one. */
export function holdsConnectionString(value: unknown, depth = 0): boolean {
  const holds = (each: unknown) => holdsConnectionString(each, depth + 1);
  if (typeof value === "string") return CONNECTION_STRING.test(value);
  if (depth > MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.some(holds);
  if (!isRecord(value)) return false;
  return Object.entries(value).some(
    ([name, each]) => URL_FIELDS.test(name) || CONNECTION_STRING.test(name) || holds(each),
  );
}

/** Returns the kind of a place, and the text by which it is allowed or not. */
export function placeOf(reference: Place): { readonly kind: PlaceKind; readonly name: string } {
  if ("secret" in reference) return { kind: "secret", name: reference.secret };
  if ("parameter" in reference) return { kind: "parameter", name: reference.parameter };
  if ("neon" in reference) return { kind: "neon", name: reference.neon.project };
  return { kind: "database", name: reference.database };
}

const CONNECTION_STRING_WORDS =
  'holds a connection string, or a part of one. Many may read a request, so it names the place of the string instead: {"id":"acme","parameter":"/tenants/acme/url"}';
const KINDS = "secret, parameter, neon or database";
const EXAMPLE = '{"id":"acme","parameter":"/tenants/acme/url"}';

function readId(value: unknown): string {
  const id = asText(value);
  const isShort = id !== "" && id.length <= MAX_ID_LENGTH;
  if (isShort && id.trim() === id && !UNSEEN.test(id)) return id;
  throw new Mistake(
    `has no id. An id is a text of 1 to ${MAX_ID_LENGTH} characters that can be seen, without blanks around it`,
  );
}

function readPlace(kind: PlaceKind, value: Readonly<Record<string, unknown>>): Place {
  if (kind === "neon") return { neon: readNeonPlace(value.neon) };
  const name = readName(kind, value[kind]);
  if (kind === "parameter") return { parameter: name };
  if (kind === "database") return { database: name };
  return value.field === undefined
    ? { secret: name }
    : { secret: name, field: readName("field", value.field) };
}

function readNeonPlace(value: unknown): NeonPlace {
  if (!isRecord(value))
    throw new Mistake("has a neon that is no object with project, database and role");
  const fields = ["project", "database", "role", "branch"];
  const unknown = Object.keys(value).find((name) => !fields.includes(name));
  if (unknown !== undefined) {
    throw new Mistake(
      `has a neon with the field ${quoted(unknown)}. It takes ${fields.join(", ")}`,
    );
  }
  return {
    project: readName("neon.project", value.project),
    database: readName("neon.database", value.database),
    role: readName("neon.role", value.role),
    ...(value.branch === undefined ? {} : { branch: readName("neon.branch", value.branch) }),
  };
}

function readName(field: string, value: unknown): string {
  const name = asText(value);
  if (name !== "" && name.length <= MAX_NAME_LENGTH) return name;
  throw new Mistake(`has no text in ${field}, or one that is too long`);
}

/** A mistake in a reference, as the predicate of a sentence. It shows no part of a connection string. */
class Mistake extends Error {}
