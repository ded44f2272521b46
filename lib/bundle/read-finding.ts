import { type Finding, SEVERITIES } from "./finding.ts";
import { RULE_IDS } from "./rule-ids.ts";

type Test = (value: unknown) => boolean;

const isText: Test = (value) => typeof value === "string";
const isPlace: Test = (value) =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0;
const isName: Test = (value) => fits(value, { schema: orNull(isText), name: isText });
const isType: Test = (value) =>
  isName(value) &&
  fits(value, {
    modifiers: (each) => Array.isArray(each) && each.every(Number.isSafeInteger),
    array: isFlag,
    computed: isFlag,
  });

/** What each kind of question must have beside its kind. */
const QUESTIONS: Readonly<Record<string, Readonly<Record<string, Test>>>> = {
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
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  const kind = typeof value.kind === "string" ? value.kind : "";
  const fields = Object.hasOwn(QUESTIONS, kind) ? QUESTIONS[kind] : undefined;
  return fields !== undefined && fits(value, fields);
}

function isFlag(value: unknown): boolean {
  return typeof value === "boolean";
}

function orNull(test: Test): Test {
  return (value) => value === null || test(value);
}

function fits(value: unknown, tests: Readonly<Record<string, Test>>): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(tests).every(([name, test]) => test(Reflect.get(value, name)));
}
