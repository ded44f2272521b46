import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildLambda } from "../../../build/lambda.ts";
import { readCommandLine, wholeNumber } from "../../../local/command-line.ts";
import { preferMemory } from "../../../local/postgres/memory.ts";
import { failures, renderFailure, runBench, summarise } from "./bench.ts";

const USAGE = `usage: npm run rehearsals -- [--seed N] [--tries N] [--try K] [--stages N]

Kills rehearsals and cuts their connections, and says what reached production and what was left. Ends with 1 where something
did.
  --seed    repeats the tries of an earlier call     --tries   how many (300)
  --try     only the K-th                            --stages  so many projects side by side (2)`;

/** The share of branches that is deleted at once, of the rehearsals that are not killed. */
const DELETED_SHARE = 0.95;

/** `npm run rehearsals`: kills rehearsals and cuts their connections, and says what is left. */
async function main(): Promise<void> {
  const { seed, numbers, stages } = readArguments();
  const started = Date.now();
  const progress = (line: string) =>
    console.error(`${((Date.now() - started) / 1_000).toFixed(0).padStart(4)} s  ${line}`);
  progress(`--seed ${seed}`);
  preferMemory();
  const handler = await mkdtemp(join(tmpdir(), "rehearsals-handler-"));
  await buildLambda(handler);
  try {
    const results = await runBench({ seed, numbers, handler, stages, progress });
    const bad = failures(results);
    for (const each of bad) console.error(renderFailure(each, seed));
    for (const { verdict, number, disturbed } of results) {
      if (verdict.outcome === null || verdict.left.length === 0) continue;
      console.error(`left behind ${verdict.outcome}: try ${number}, ${disturbed.what}`);
    }
    const rows = summarise(results);
    console.log(`seed ${seed}`);
    console.table(rows.map(({ outcomes: _, ...row }) => row));
    for (const { name, outcomes } of rows) console.log(name, outcomes);
    const all = rows.at(-1);
    const isEnough = all !== undefined && all.deleted >= DELETED_SHARE * all.answered;
    process.exitCode = bad.length === 0 && isEnough ? 0 : 1;
  } finally {
    await rm(handler, { recursive: true });
  }
}

function readArguments() {
  const options = {
    seed: { type: "string" },
    tries: { type: "string", default: "300" },
    try: { type: "string" },
    stages: { type: "string", default: "2" },
  } as const;
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    seed: values.seed === undefined ? randomInt(2 ** 31) : wholeNumber(values.seed),
    numbers:
      values.try === undefined
        ? Array.from({ length: wholeNumber(values.tries) }, (_, index) => index)
        : [wholeNumber(values.try)],
    stages: wholeNumber(values.stages),
  }));
}

await main();
