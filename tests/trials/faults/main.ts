import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildLambda } from "../../../build/lambda.ts";
import { chosen, readCommandLine, wholeNumber } from "../../../local/command-line.ts";
import { preferMemory } from "../../../local/postgres/memory.ts";
import { runBench } from "./bench.ts";
import { SCENARIOS } from "./scenarios.ts";
import {
  isBad,
  renderAnsweredFailures,
  renderFailure,
  renderFewMet,
  renderTable,
  summarise,
  type TryResult,
} from "./table.ts";
import type { Scenario } from "./trial.ts";
import { ALL_WORKLOADS, WORKLOADS, type Workload } from "./workloads.ts";

const names = (choices: readonly { readonly name: string }[]) =>
  choices.map(({ name }) => name).join();

const USAGE = `usage: npm run faults -- [--seed N] [--only SCENARIO,…] [--workloads WORKLOAD,…] [--tries N] [--try K] [--stages N] [--json]

Disturbs runs in every way, and says what was lost, doubled, unanswered or left behind. Ends with 1 where something was.
  --seed       repeats the tries of an earlier call     --tries   so many for each scenario and workload
  --try        only the K-th try of each                --stages  so many servers side by side (4)
  --only       ${names(SCENARIOS)}
  --workloads  ${names(ALL_WORKLOADS)}`;

interface Arguments {
  readonly seed: number;
  readonly scenarios: readonly Scenario[];
  readonly workloads: readonly Workload[];
  readonly tries: number | undefined;
  readonly number: number | undefined;
  readonly stages: number;
  readonly json: boolean;
}

function readArguments(): Arguments {
  const options = {
    seed: { type: "string" },
    only: { type: "string", default: names(SCENARIOS) },
    workloads: { type: "string", default: names(WORKLOADS) },
    tries: { type: "string" },
    try: { type: "string" },
    stages: { type: "string", default: "4" },
    json: { type: "boolean", default: false },
  } as const;
  const number = (text: string | undefined) => (text === undefined ? undefined : wholeNumber(text));
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    seed: number(values.seed) ?? randomInt(2 ** 31),
    scenarios: chosen(SCENARIOS, values.only),
    workloads: chosen(ALL_WORKLOADS, values.workloads),
    tries: number(values.tries),
    number: number(values.try),
    stages: wholeNumber(values.stages),
    json: values.json,
  }));
}

/** `npm run faults`: disturbs runs in every way, and says what was lost, doubled, unanswered or left behind. */
async function main(): Promise<void> {
  const { seed, scenarios, workloads, tries, number, stages, json } = readArguments();
  const started = Date.now();
  const progress = (line: string) => {
    const seconds = ((Date.now() - started) / 1_000).toFixed(0).padStart(4);
    console.error(`${seconds} s  ${line}`);
  };
  const again = `--seed ${seed} --workloads ${names(workloads)}`;
  progress(again);
  preferMemory();
  const handler = await mkdtemp(join(tmpdir(), "faults-handler-"));
  await buildLambda(handler);
  try {
    const results = await runBench({
      scenarios,
      workloads,
      seed,
      handler,
      tries: () => tries,
      number,
      stages,
      progress,
      failed: (result) => console.error(renderFailure(result, again)),
    });
    print(results, seed, json);
  } finally {
    await rm(handler, { recursive: true });
  }
}

function print(results: readonly TryResult[], seed: number, json: boolean): void {
  const rows = summarise(results);
  const bad = results.filter(({ verdict }) => isBad(verdict));
  const answered = renderAnsweredFailures(results);
  if (json) console.log(JSON.stringify({ seed, rows, answered, failures: bad }, null, 2));
  else
    console.log([`seed ${seed}`, renderTable(rows), ...renderFewMet(rows), ...answered].join("\n"));
  process.exitCode = bad.length === 0 ? 0 : 1;
}

await main();
