import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { readDefinition } from "../../local/step-functions/definition.ts";
import { FLEET } from "../setup/fleet-machine.ts";
import { map, READER, task, WRITER } from "../setup/state-machine.ts";

/** The package has no types. */
const validate: (definition: unknown) => { isValid: boolean; errorsText(): string } = createRequire(
  import.meta.url,
)("asl-validator");

function machine(states: object, more: object = {}): object {
  return {
    ...{ QueryLanguage: "JSONata", StartAt: Object.keys(states)[0], States: states },
    ...more,
  };
}

const END = { End: true };
const DONE = { Type: "Succeed" };

test("the machine of a fleet is good Amazon States Language, and all of it is stood in for", () => {
  const { isValid, errorsText } = validate(JSON.parse(JSON.stringify(FLEET)));

  expect(errorsText()).toBe("");
  expect(isValid).toBe(true);
  expect([...readDefinition(FLEET).states.keys()]).toHaveLength(11);
  expect(Buffer.byteLength(JSON.stringify(FLEET))).toBeLessThan(1_000_000);
});

test.each([
  [
    "A.Resource arn:aws:states:::sqs:sendMessage",
    { A: task({ ...END, Resource: "arn:aws:states:::sqs:sendMessage" }) },
  ],
  ["A.HeartbeatSeconds", { A: task({ ...END, HeartbeatSeconds: 5 }) }],
  ["A: the type Parallel", { A: { Type: "Parallel", Branches: [], ...END } }],
  ["A.Timestamp", { A: { Type: "Wait", Timestamp: "2026-01-01T00:00:00Z", ...END } }],
  ["A.Parameters", { A: { Type: "Pass", Parameters: {}, ...END } }],
  ["A.ItemBatcher", { A: map({ ...END, ItemBatcher: {} }) }],
  [
    "A.ItemProcessor.ProcessorConfig.Mode INLINE",
    {
      A: {
        ...{ Type: "Map", ...END },
        ItemProcessor: {
          ProcessorConfig: { Mode: "INLINE" },
          StartAt: "B",
          States: { B: DONE },
        },
      },
    },
  ],
  [
    "A.ItemProcessor.ProcessorConfig.ExecutionType EXPRESS",
    {
      A: {
        ...{ Type: "Map", ...END },
        ItemProcessor: {
          ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "EXPRESS" },
          StartAt: "B",
          States: { B: DONE },
        },
      },
    },
  ],
  [
    "A.ItemReader.ReaderConfig.InputType CSV",
    { A: map({ ...END, ItemReader: { ...READER, ReaderConfig: { InputType: "CSV" } } }) },
  ],
  [
    "A.ResultWriter.WriterConfig.Transformation FLATTEN",
    {
      A: map({
        ...END,
        ResultWriter: {
          ...WRITER,
          WriterConfig: { Transformation: "FLATTEN", OutputType: "JSON" },
        },
      }),
    },
  ],
  ["A.ItemProcessor.B.Credentials", { A: map(END, { B: task({ ...END, Credentials: {} }) }) }],
  ["A.Output: the function $uuid", { A: { Type: "Pass", Output: "{% [1, $uuid()] %}", ...END } }],
])("says that %s is not stood in for", (part, states) => {
  expect(() => readDefinition(machine(states))).toThrow(`${part} is not stood in for.`);
});

test("takes no other query language, and no time limit for the machine", () => {
  const states = { A: DONE };

  const paths = { ...machine(states), QueryLanguage: undefined };
  expect(() => readDefinition(paths)).toThrow("QueryLanguage JSONPath is not stood in for.");
  const limited = machine(states, { TimeoutSeconds: 9 });
  expect(() => readDefinition(limited)).toThrow(
    "The definition.TimeoutSeconds is not stood in for.",
  );
});

test.each([
  ["A: there is no state B.", { A: { Type: "Pass", Next: "B" } }],
  ["A: either Next or End is expected.", { A: { Type: "Pass" } }],
  ["A.Output: ", { A: { Type: "Pass", Output: "{% ( %}", ...END } }],
  ["A.Label: ", { A: map({ ...END, Label: "first wave" }) }],
  ["A.Label: ", { A: map({ ...END, Label: "x".repeat(41) }) }],
  ["A.Label: ", { A: map({ ...END, Label: "a:b" }) }],
  [
    "A.Retry[0]: States.ALL stands alone.",
    { A: task({ ...END, Retry: [{ ErrorEquals: ["States.ALL", "LOCKED"] }] }) },
  ],
  [
    "A.Retry[0].BackoffRate: ",
    { A: task({ ...END, Retry: [{ ErrorEquals: ["LOCKED"], BackoffRate: 0.5 }] }) },
  ],
])("refuses what the service refuses: %s", (words, states) => {
  expect(() => readDefinition(machine(states))).toThrow(words);
});
