import { isRecord } from "../json.ts";
import { type Finding, SEVERITIES } from "./finding.ts";
import { RULE_IDS } from "./rule-ids.ts";

/** Whether a value from a bundle is sound. */
export type Test = (value: unknown) => boolean;

/** A test for each field. */
type Fields = Readonly<Record<string, Test>>;

export const isText: Test = (value) => typeof value === "string";
const isPlace: Test = (value) =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0;
/** Whether a value is an `ObjectName`. */
export const isName: Test = (value) => fits(value, { schema: orNull(isText), name: isText });
const isType: Test = (value) =>
  isName(value) &&
  fits(value, {
    modifiers: (each) => Array.isArray(each) && each.every(Number.isSafeInteger),
    array: isFlag,
    computed: isFlag,
  });

/** The fields that each kind of question must have beside its kind. */
const QUESTIONS: Readonly<Record<string, Fields>> = {
  scan: { index: orNull(isName) },
  loss: {},
  use: {},
  "type-change": { column: isText, type: isType },
  "not-null": { column: isText },
  extension: { name: isText },
  volatility: { routine: isName },
};

const FINDING: Readonly<Record<keyof Finding, Test>> = {
  rule: (value) => RULE_IDS.some((each) => each === value),
  severity: (value) => SEVERITIES.some((each) => each === value),
  statement: isPlace,
  line: isPlace,
  column: isPlace,
  message: isText,
  rewrite: isText,
  table: orNull(isName),
  createdIn: orNull(isText),
  asks: orNull(isQuestion),
};

/** Whether a value from a bundle is a finding, whole and sound. */
export function isFinding(value: unknown): value is Finding {
  return fits(value, FINDING);
}

function isQuestion(value: unknown): boolean {
  const fields = fieldsOf(QUESTIONS, value);
  return fields !== undefined && fits(value, fields);
}

function isFlag(value: unknown): boolean {
  return typeof value === "boolean";
}

function orNull(test: Test): Test {
  return (value) => value === null || test(value);
}

/** Returns the tests of the fields that a value of this kind must have; undefined for an unknown kind. */
export function fieldsOf(
  kinds: Readonly<Record<string, Fields>>,
  value: unknown,
): Fields | undefined {
  const kind = isRecord(value) && typeof value.kind === "string" ? value.kind : "";
  return Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
}

/** Whether a value has all of these fields. */
function fits(value: unknown, tests: Fields): boolean {
  return isRecord(value) && Object.entries(tests).every(([name, test]) => test(value[name]));
}
