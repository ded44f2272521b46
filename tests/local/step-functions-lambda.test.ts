import { afterAll, expect, test } from "vitest";
import { invokeLocally } from "../../local/step-functions/invoke.ts";
import { deploySource } from "../setup/local-function.ts";
import { endMachines, FUNCTION, map, startMachine, task } from "../setup/state-machine.ts";

afterAll(endMachines);

const functionArn = FUNCTION.replace(/:7$/, "");
const retry = (ErrorEquals: readonly string[]) => [{ ErrorEquals, MaxAttempts: 20 }];

test("calls functions of the local Lambda by their version, and knows their errors by name", async () => {
  const lambda = await deploySource(
    `export const handler = async (event, { invokedFunctionArn }) => {
      if (event === "fails") throw Object.assign(new Error("no"), { name: "MIGRATION_FAILED" });
      if (event === "exits") process.exit(1);
      if (event === "hangs") await new Promise((resolve) => setTimeout(resolve, 60_000));
      return invokedFunctionArn;
    };`,
    { functionArn, timeoutMs: 1_000 },
  );
  const wave = map(
    {
      Items: ["works", "fails", "exits", "hangs"],
      ToleratedFailureCount: 3,
      End: true,
    },
    { Call: task({ Output: "{% $states.result.Payload %}", End: true }) },
  );
  const machine = await startMachine({ Wave: wave }, { invoke: invokeLocally([lambda]) });

  const execution = await machine.run();

  expect(execution.output).toEqual([FUNCTION]);
  const children = execution.mapRuns[0]?.children ?? [];
  expect(children.map((child) => child?.error)).toEqual([
    ...[undefined, "MIGRATION_FAILED", "Runtime.ExitError", "Sandbox.Timedout"],
  ]);
  expect(JSON.parse(children[1]?.cause ?? "")).toMatchObject({
    errorType: "MIGRATION_FAILED",
    errorMessage: "no",
  });
});

test("throttles what is more than an account may run, and finds no function that is not there", async () => {
  const lambda = await deploySource("export const handler = async (event) => event;", {
    functionArn,
  });
  const items = [0, 1, 2, 3, 4, 5];
  const child = {
    Call: task({
      Output: "{% $states.result.Payload %}",
      Retry: retry(["Lambda.TooManyRequestsException"]),
      End: true,
    }),
  };
  let refusals = 0;
  const invoke = invokeLocally(new Map([[functionArn, lambda]]), { concurrency: 2 });
  const machine = await startMachine(
    { Wave: map({ Items: items, End: true }, child) },
    {
      // A wait before a retry takes as long as a call.
      clock: { now: () => Date.now(), sleep: async () => void (await lambda.invoke("beside")) },
      invoke: (name, payload) =>
        invoke(name, payload).catch((thrown) => {
          refusals += 1;
          throw thrown;
        }),
    },
  );

  const execution = await machine.run();

  expect(execution.output).toEqual(items);
  expect(refusals).toBeGreaterThan(0);
  const other = invokeLocally([lambda]);
  await expect(other(`${functionArn}-other`, {})).rejects.toMatchObject({
    name: "ResourceNotFoundException",
  });
});
