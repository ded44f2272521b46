import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildLambda } from "../../../build/lambda.ts";
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

const USAGE = `npm run faults -- [--seed N] [--only ${SCENARIOS.map(({ name }) => name).join(",")}] [--workloads ${ALL_WORKLOADS.map(({ name }) => name).join(",")}] [--tries N] [--try K] [--stages N] [--json]`;

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
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      only: { type: "string", default: SCENARIOS.map(({ name }) => name).join() },
      workloads: { type: "string", default: WORKLOADS.map(({ name }) => name).join() },
      tries: { type: "string" },
      try: { type: "string" },
      stages: { type: "string", default: "4" },
      json: { type: "boolean", default: false },
    },
  });
  return {
    seed: whole(values.seed) ?? randomInt(2 ** 31),
    scenarios: chosen(SCENARIOS, values.only),
    workloads: chosen(ALL_WORKLOADS, values.workloads),
    tries: whole(values.tries),
    number: whole(values.try),
    stages: whole(values.stages) ?? 4,
    json: values.json,
  };
}

function chosen<Choice extends { readonly name: string }>(
  choices: readonly Choice[],
  names: string,
): readonly Choice[] {
  return names.split(",").map((name) => {
    const choice = choices.find((each) => each.name === name);
    if (choice === undefined) throw new Error(`There is no ${name}. ${USAGE}`);
    return choice;
  });
}

function whole(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0) return number;
  throw new Error(`${text} is not a whole number. ${USAGE}`);
}

/** `npm run faults`: disturbs runs in every way, and says what was lost, doubled, unanswered or left behind. */
async function main(): Promise<void> {
  const { seed, scenarios, workloads, tries, number, stages, json } = readArguments();
  const started = Date.now();
  const progress = (line: string) => {
    const seconds = ((Date.now() - started) / 1_000).toFixed(0).padStart(4);
    console.error(`${seconds} s  ${line}`);
  };
  const again = `--seed ${seed} --workloads ${workloads.map(({ name }) => name).join()}`;
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
