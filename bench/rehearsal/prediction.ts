/*
 * How well a rehearsal predicts. The options of `npm run bench:prediction` come in, and a table goes out: for each statement
 * the time on a branch, the time on production behind it, and how the one is to the other. A branch is a copy of the data
 * folder with a server of its own. Nothing here judges a number.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { silentLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate/migrate.ts";
import { rehearse } from "../../lib/rehearsal/rehearse.ts";
import type { Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { DEFAULT_LEDGER, type Target } from "../../lib/target/target.ts";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { type LocalNeon, startNeon } from "../../local/neon/neon.ts";
import { type Relay, startRelay } from "../../local/relay/relay.ts";
import { median, readable } from "../speed/statistics.ts";
import { textTable } from "../speed/text-table.ts";
import { compileTexts } from "./workloads.ts";

const USAGE = `usage: npm run bench:prediction -- [--megabytes 1024] [--json]

Fills a table, rehearses statements on a branch of it, runs them on production, and compares the times of each.`;

/** About so many bytes has a row of the table. */
const ROW_BYTES = 128;

/** What a migration of a big table is made of: reads of all rows, rewrites, indexes, changes of some rows and of the catalog. */
const STATEMENTS = [
  "ALTER TABLE big ADD COLUMN checked boolean NOT NULL DEFAULT false",
  "ALTER TABLE big ALTER COLUMN note SET NOT NULL",
  "CREATE INDEX big_total ON big (total)",
  "ALTER TABLE big ADD CONSTRAINT big_total_positive CHECK (total >= 0)",
  "ALTER TABLE big ADD CONSTRAINT big_owner FOREIGN KEY (owner) REFERENCES owners (id)",
  "UPDATE big SET checked = true WHERE id % 10 = 0",
  "ALTER TABLE big ALTER COLUMN total TYPE bigint",
  "CREATE UNIQUE INDEX big_pair ON big (owner, id)",
  "DROP INDEX big_total",
];

async function main(): Promise<void> {
  const { megabytes, json } = readArguments();
  const scratch = await mkdtemp(join(tmpdir(), "bench-"));
  const neon = await startNeon({
    plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
  });
  const target = { host: "127.0.0.1", port: neon.branch("main").port };
  const relay = await startRelay({ target, mode: "neon", route: (host) => neon.route(host) });
  try {
    const times = await compare(neon, relay, await makeBundle(megabytes, scratch));
    console.log(json ? JSON.stringify(times, null, 2) : render(megabytes, times));
  } finally {
    await relay.stop();
    await neon.stop();
    await rm(scratch, { recursive: true });
  }
}

function readArguments() {
  const options = {
    megabytes: { type: "string", default: "1024" },
    json: { type: "boolean", default: false },
  } as const;
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    megabytes: wholeNumber(values.megabytes),
    json: values.json,
  }));
}

/** The bundle that fills the table, and the one with the statements behind it. */
interface Bundles {
  readonly filling: Bundle;
  readonly whole: Bundle;
}

async function makeBundle(megabytes: number, scratch: string): Promise<Bundles> {
  const rows = Math.round((megabytes * 1024 ** 2) / ROW_BYTES);
  const filling = [
    "CREATE TABLE owners (id int PRIMARY KEY)",
    "INSERT INTO owners SELECT generate_series(0, 999)",
    "CREATE TABLE big (id bigint PRIMARY KEY, owner int NOT NULL, total int NOT NULL, note text)",
    `INSERT INTO big SELECT i, i % 1000, i % 5000, repeat(md5(i::text), 2) FROM generate_series(1, ${rows}) i`,
  ];
  const each = filling.length;
  return {
    filling: await compileTexts(filling, join(scratch, "filling"), each),
    whole: await compileTexts([...filling, ...STATEMENTS], join(scratch, "whole"), each),
  };
}

/** The times of a statement, in ms. */
interface Times {
  readonly statement: string;
  readonly rehearsedMs: number;
  readonly realMs: number;
}

async function compare(neon: LocalNeon, relay: Relay, { filling, whole }: Bundles) {
  const production = (): Target => ({
    ...{ url: neon.productionUrl, relay: relay.address, ledger: DEFAULT_LEDGER },
    ...{ connectTimeoutMs: 30_000, warnings: [] },
  });
  const common = { target: production, deadline: null, log: silentLog };
  const up = async (bundle: Bundle, requestId: string): Promise<Report> =>
    succeeded(await migrate(parseRequest({}), { ...common, bundle, requestId }));
  const progress = (line: string) => console.error(line);
  progress("filling the table");
  await up(filling, "filling");
  progress("rehearsing");
  const { apiKey: key, projectId, url } = neon;
  const { rehearsal } = succeeded(
    await rehearse(parseRequest({ action: "rehearse" }), {
      ...{ ...common, bundle: whole, requestId: "rehearsal" },
      access: () => Promise.resolve({ key, projectId, url }),
    }),
  );
  progress("running on production");
  const { applied } = await up(whole, "production");
  const realMs = applied.flatMap(({ statementMs = [] }) => statementMs);
  return STATEMENTS.map((statement, index): Times => {
    const rehearsedMs = rehearsal?.statements[index]?.ms ?? 0;
    return { statement, rehearsedMs, realMs: realMs[index] ?? 0 };
  });
}

function succeeded(report: Report): Report {
  if (report.error === undefined) return report;
  throw new Error(`${report.error.code}: ${report.error.message}`);
}

function render(megabytes: number, times: readonly Times[]): string {
  const sum = (pick: (each: Times) => number) => times.reduce((all, each) => all + pick(each), 0);
  const row = (name: string, rehearsedMs: number, realMs: number) => [
    ...[
      name,
      readable(rehearsedMs),
      readable(realMs),
      realMs < 1 ? "–" : (rehearsedMs / realMs).toFixed(2),
    ],
  ];
  const table = textTable(
    [`a table of ${megabytes} MB`, "rehearsed", "real", "rehearsed / real"],
    [
      ...times.map(({ statement, rehearsedMs, realMs }) => row(statement, rehearsedMs, realMs)),
      row(
        "all",
        sum((each) => each.rehearsedMs),
        sum((each) => each.realMs),
      ),
    ],
  );
  const long = times.filter(({ realMs }) => realMs >= 100);
  const ratios = long.map(({ rehearsedMs, realMs }) => rehearsedMs / realMs);
  const of = (value: number) => value.toFixed(2);
  return `${table}\n${long.length} statements of 100 ms or more: ${of(Math.min(...ratios))} to ${of(Math.max(...ratios))}, median ${of(median(ratios))}.`;
}

await main();
