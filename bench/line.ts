/*
 * The line. The options of `npm run bench:line` come in, and a table goes out: how long a large migration takes over a narrow
 * line, beside the time that its bytes need for that line alone, and with how much memory. Nothing here judges a number.
 */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildLambda } from "../build/lambda.ts";
import { STATEMENT_BREAKPOINT, statementText } from "../lib/bundle/bundle.ts";
import { compileBundle } from "../lib/compile/compile.ts";
import { readCommandLine, wholeNumber } from "../local/command-line.ts";
import { type LocalPostgres, startPostgres } from "../local/postgres/postgres.ts";
import { type Relay, startRelay } from "../local/relay/relay.ts";
import { send } from "./speed/contestants.ts";
import { startFunction } from "./speed/function-process.ts";
import { ratio, readable } from "./speed/statistics.ts";
import { textTable } from "./speed/text-table.ts";
import { writeCompiled } from "./speed/workload.ts";

const USAGE = `usage: npm run bench:line -- [--megabytes 40] [--mbit 10] [--round-trip-ms 50] [--memory-mb 512] [--statement-kb 10] [--json]

Applies a migration of so many megabytes over lines of so many megabits a second, by the built function and as one message,
and judges nothing.`;

interface Figure {
  readonly contestant: string;
  readonly mbit: number;
  readonly ms: number;
  /** The time that its bytes need for the line alone, in ms. */
  readonly lineMs: number;
  readonly peakMb: number | null;
}

/** Work on a database. A program of its own says how long it took from the call to the answer. */
type Work = (url: string) => Promise<{ readonly answerMs?: number; readonly peakMb?: number }>;

const DATABASE = "bench";

function readArguments() {
  const options = {
    megabytes: { type: "string", default: "40" },
    mbit: { type: "string", default: "10" },
    "round-trip-ms": { type: "string", default: "50" },
    "memory-mb": { type: "string", default: "512" },
    "statement-kb": { type: "string", default: "10" },
    json: { type: "boolean", default: false },
  } as const;
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    megabytes: wholeNumber(values.megabytes),
    mbits: values.mbit.split(",").map(wholeNumber),
    roundTripMs: wholeNumber(values["round-trip-ms"]),
    memoryMb: wholeNumber(values["memory-mb"]),
    statementKb: wholeNumber(values["statement-kb"]),
    json: values.json,
  }));
}

async function main(): Promise<void> {
  const { megabytes, mbits, roundTripMs, memoryMb, statementKb, json } = readArguments();
  const scratch = await mkdtemp(join(tmpdir(), "bench-"));
  const postgres = await startPostgres();
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  try {
    await buildLambda(scratch);
    const oneQuery = await writeBundle(megabytes, statementKb, scratch);
    relay.setRoundTripMs(roundTripMs);
    const figures: Figure[] = [];
    for (const mbit of mbits) {
      relay.setBitsPerSecond(mbit * 1_000_000);
      const sample = async (contestant: string, work: Work) => {
        figures.push({ contestant, mbit, ...(await measure({ postgres, relay, mbit }, work)) });
        console.error(`${contestant} at ${mbit} Mbit/s`);
      };
      await sample("one message", async (url) => {
        await send(oneQuery, { url, relay: relay.address });
        return {};
      });
      for (const executor of ["statements", "auto"]) {
        await sample(executor === "auto" ? "ours, drizzle" : "ours, statements", async (url) => {
          const environment = { DATABASE_URL: url, NEON_WS_PROXY: relay.address };
          const event = { executor, timeoutMs: 900_000 };
          const { answer, answerMs, peakMb } = await startFunction({
            ...{ folder: scratch, environment, memoryMb, event },
          });
          const { status, error } = Object(answer);
          if (status !== "applied") throw new Error(JSON.stringify(error ?? answer));
          return { answerMs, peakMb };
        });
      }
    }
    console.log(json ? JSON.stringify(figures, null, 2) : render(figures));
  } finally {
    await relay.stop();
    await postgres.stop();
    await rm(scratch, { recursive: true });
  }
}

/** Writes the bundle beside the function. Returns the same as one query. */
async function writeBundle(megabytes: number, statementKb: number, scratch: string) {
  const folder = join(scratch, "drizzle");
  const text = "x".repeat(statementKb * 1_000 - 40);
  const inserts = Array.from(
    { length: Math.round((megabytes * 1_000) / statementKb) },
    () => `INSERT INTO "notes" ("text") VALUES ('${text}');`,
  );
  const statements = [`CREATE TABLE "notes" ("text" text);`, ...inserts];
  await mkdir(join(folder, "meta"), { recursive: true });
  const entries = [
    { idx: 0, version: "7", when: 1_767_225_600_000, tag: "0000_notes", breakpoints: true },
  ];
  const journal = { version: "7", dialect: "postgresql", entries };
  await writeFile(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
  await writeFile(join(folder, "0000_notes.sql"), statements.join(`${STATEMENT_BREAKPOINT}\n`));
  const bundle = await compileBundle(folder);
  await writeCompiled(bundle, scratch);
  const texts = bundle.migrations.flatMap((migration) =>
    migration.statements.map((each) => statementText(migration, each)),
  );
  return ["begin", ...texts, "commit"].join(";\n");
}

async function measure(
  {
    postgres,
    relay,
    mbit,
  }: { readonly postgres: LocalPostgres; readonly relay: Relay; readonly mbit: number },
  work: Work,
): Promise<Omit<Figure, "contestant" | "mbit">> {
  await postgres.admin.dropDatabase(DATABASE);
  await postgres.admin.createDatabase(DATABASE);
  relay.resetStats();
  const started = performance.now();
  const { answerMs, peakMb = null } = await work(postgres.url(DATABASE));
  const ms = answerMs ?? performance.now() - started;
  return { ms, lineMs: relay.stats().bytesToServer / (mbit * 125), peakMb };
}

function render(figures: readonly Figure[]): string {
  return textTable(
    ["", "Mbit/s", "time", "the line's own", "ratio", "peak memory"],
    figures.map(({ contestant, mbit, ms, lineMs, peakMb }) => [
      contestant,
      ...[String(mbit), readable(ms), readable(lineMs), ratio(ms, lineMs)],
      peakMb === null ? "-" : `${peakMb.toFixed(0)} MB`,
    ]),
  );
}

await main();
