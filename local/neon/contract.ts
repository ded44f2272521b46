import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { Ajv, type ValidateFunction } from "ajv";
import { parse } from "yaml";
import { CALLS, type CallName } from "./faults.ts";

/** Neon's own description of its API, against which calls and answers are held. */
export interface Contract {
  /** Returns what is wrong with a call; null for one that is right. */
  checkCall(call: CallName, query: URLSearchParams, body: unknown): string | null;
  /** Returns what is wrong with an answer; null for one that is right. */
  checkAnswer(call: CallName, status: number, body: unknown): string | null;
}

const DOCUMENT = "public-v2-for-users.gen.yaml";

/**
 * Reads the OpenAPI document that the package `@neondatabase/api-client` brings along. Only the calls that are served are
 * read: the whole document would take seconds.
 */
export async function readContract(): Promise<Contract> {
  const resolver = createRequire(import.meta.url);
  const path = resolver.resolve(`@neondatabase/api-client/${DOCUMENT}`);
  const document: unknown = parse(servedPart(await readFile(path, "utf8")));
  const ajv = new Ajv({ strict: false, allErrors: true, schemas: { neon: Object(document) } });
  for (const [name, pattern] of Object.entries(FORMATS)) ajv.addFormat(name, pattern);
  const calls = new Map(
    Object.entries(CALLS).map(([name, call]) => [name, rulesOf(ajv, document, call)]),
  );
  return {
    checkCall: (call, query, body) => calls.get(call)?.call(query, body) ?? null,
    checkAnswer: (call, status, body) => calls.get(call)?.answer(status, body) ?? null,
  };
}

const FORMATS = {
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i,
  uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  email: /^[^@\s]+@[^@\s]+$/,
  int32: true,
  int64: true,
} as const;

/** Leaves the paths of other calls out of the text of the document. */
function servedPart(text: string): string {
  const served = new Set(Object.values(CALLS).map((call) => call.replace(/^\S+ /, "")));
  const [head = "", rest = ""] = text.split(/^paths:\n/m);
  const end = rest.search(/^\w/m);
  const paths = rest
    .slice(0, end)
    .split(/^(?= {2}\/)/m)
    .filter((part) => served.has(/^ {2}(\S+):/.exec(part)?.[1] ?? ""));
  return `${head}paths:\n${paths.join("")}${rest.slice(end)}`;
}

interface Rules {
  call(query: URLSearchParams, body: unknown): string | null;
  answer(status: number, body: unknown): string | null;
}

function rulesOf(ajv: Ajv, document: unknown, call: string): Rules {
  const [method = "", path = ""] = call.toLowerCase().split(" ");
  const operation = at(document, ["paths", path, method]);
  const parameters = [at(operation, ["parameters"])].flatMap((each) =>
    Array.isArray(each) ? each : [],
  );
  const queries = parameters
    .map((each) => resolved(document, each))
    .filter((each) => at(each, ["in"]) === "query")
    .map((each) => ({
      name: String(at(each, ["name"])),
      required: at(each, ["required"]) === true,
      validate: compile(ajv, at(each, ["schema"])),
    }));
  const schema = at(operation, ["requestBody", "content", "application/json", "schema"]);
  const body = schema === undefined ? null : compile(ajv, schema);
  const bodyNeeded = at(operation, ["requestBody", "required"]) === true;
  return {
    call: (query, given) => {
      const wrong = queries.flatMap(({ name, required, validate }) => {
        const value = query.get(name);
        if (value === null) return required ? [`query parameter ${name} is missing`] : [];
        return validate(typed(value)) ? [] : [`query parameter ${name}: ${textOf(validate)}`];
      });
      if (wrong.length > 0) return wrong.join("; ");
      if (given === null) return bodyNeeded ? "a body is required" : null;
      return body === null || body(given) ? null : textOf(body);
    },
    answer: (status, given) => checkAnswer(ajv, document, operation, status, given),
  };
}

function checkAnswer(
  ajv: Ajv,
  document: unknown,
  operation: unknown,
  status: number,
  body: unknown,
): string | null {
  const responses = at(operation, ["responses"]);
  const described = at(responses, [String(status)]) ?? at(responses, ["default"]);
  const content = at(resolved(document, described), ["content", "application/json", "schema"]);
  if (content === undefined) return body === null ? null : `${status} has no body`;
  const validate = compile(ajv, content);
  return validate(body) ? null : textOf(validate);
}

const compiled = new WeakMap<object, ValidateFunction>();

/** References inside a schema lead into the whole document. */
function compile(ajv: Ajv, schema: unknown): ValidateFunction {
  const key = Object(schema);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const text = JSON.stringify(schema).replaceAll('"#/', '"neon#/');
  const validate = ajv.compile(JSON.parse(text));
  compiled.set(key, validate);
  return validate;
}

function textOf({ errors }: ValidateFunction): string {
  return (errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`).join("; ");
}

function typed(value: string): unknown {
  if (value === "true" || value === "false") return value === "true";
  return /^\d+$/.test(value) ? Number(value) : value;
}

function resolved(document: unknown, value: unknown): unknown {
  const reference = at(value, ["$ref"]);
  return typeof reference === "string" ? at(document, reference.slice(2).split("/")) : value;
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) =>
      typeof inner === "object" && inner !== null ? Reflect.get(inner, name) : undefined,
    value,
  );
}
