import jsonata from "jsonata";
import { isRecord } from "../../lib/json.ts";
import { InvalidDefinition, NotStoodIn, StateError } from "./errors.ts";

/** The names in an expression: `states`, and the variables of the execution. */
export type Bindings = Readonly<Record<string, unknown>>;

/**
 * Computes a field of a state.
 * @throws StateError `States.QueryEvaluationError`
 */
export type Evaluate = (bindings: Bindings) => unknown;

/** Where an expression stands, for its error. */
export class QueryError extends StateError {
  readonly location: string;

  constructor(location: string, reason: string) {
    super("States.QueryEvaluationError", reason);
    this.location = location;
  }
}

/** A whole text that is an expression. Step Functions takes no blanks around it. */
const EXPRESSION = /^\{%(?<source>[\s\S]*)%\}$/;
/** Step Functions' own functions (developer guide, "JSONata functions"), and the one that it forbids. */
const FOREIGN = ["partition", "range", "hash", "random", "uuid", "parse", "eval"];

/** Whether a value of a definition is an expression, and not a constant. */
export function isExpression(value: unknown): value is string {
  return typeof value === "string" && EXPRESSION.test(value);
}

/**
 * Compiles a field: an expression, a constant, or an object or array with both.
 * @param path the place in the definition
 * @param location the field's name as the errors of an execution have it
 * @throws InvalidDefinition, NotStoodIn
 */
export function compile(value: unknown, path: string, location: string): Evaluate {
  if (isExpression(value)) return compileExpression(value, path, location);
  if (Array.isArray(value)) {
    const items = value.map((each, n) => compile(each, `${path}[${n}]`, `${location}[${n}]`));
    return async (bindings) => {
      const computed: unknown[] = [];
      for (const item of items) computed.push(await item(bindings));
      return computed;
    };
  }
  if (!isRecord(value)) return () => value;
  const fields = Object.entries(value).map(
    ([name, each]) => [name, compile(each, `${path}.${name}`, `${location}/${name}`)] as const,
  );
  return async (bindings) => {
    const computed: [string, unknown][] = [];
    for (const [name, field] of fields) computed.push([name, await field(bindings)]);
    return Object.fromEntries(computed);
  };
}

function compileExpression(text: string, path: string, location: string): Evaluate {
  const source = (EXPRESSION.exec(text)?.groups?.source ?? "").trim();
  const expression = parse(source, path);
  const foreign = foreignFunction(expression.ast());
  if (foreign !== null) throw new NotStoodIn(`${path}: the function $${foreign}`);
  return async (bindings) => {
    const result: unknown = await expression.evaluate(undefined, bindings).catch((thrown) => {
      const words = String(Reflect.get(Object(thrown), "message"));
      throw refused("threw an error during evaluation", words);
    });
    if (result === undefined) throw refused("returned nothing (undefined)");
    if (typeof result === "function" || isLambda(result)) {
      throw refused("returned an unsupported result type");
    }
    // An array of JSONata's has marks of its own.
    return Array.isArray(result) ? [...result] : result;
  };

  function refused(what: string, words?: string): QueryError {
    const sentence = `The JSONata expression '${source}' specified for the field '${location}' ${what}.`;
    return new QueryError(location, words === undefined ? sentence : `${sentence} ${words}`);
  }
}

function parse(source: string, path: string): jsonata.Expression {
  try {
    return jsonata(source);
  } catch (thrown) {
    throw new InvalidDefinition(path, String(Reflect.get(Object(thrown), "message")));
  }
}

function isLambda(value: unknown): boolean {
  return isRecord(value) && value._jsonata_lambda === true;
}

/** Finds a call of a function that this stand-in does not have. */
function foreignFunction(node: unknown): string | null {
  if (Array.isArray(node)) return firstOf(node);
  if (!isRecord(node)) return null;
  const { type, procedure } = node;
  const name = isRecord(procedure) ? procedure.value : undefined;
  if (type === "function" && typeof name === "string" && FOREIGN.includes(name)) return name;
  return firstOf(Object.values(node).filter((each) => typeof each === "object"));
}

function firstOf(nodes: readonly unknown[]): string | null {
  for (const node of nodes) {
    const name = foreignFunction(node);
    if (name !== null) return name;
  }
  return null;
}

/**
 * Checks that a field is a number.
 * @throws QueryError for anything else
 */
export function integer(value: unknown, location: string): number {
  if (typeof value === "number" && Number.isInteger(value)) return value;
  const type = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  throw new QueryError(
    location,
    `The value of the field '${location}' has an unexpected type. Expected 'integer', but was '${type}' for value: ${JSON.stringify(value)}`,
  );
}
