/*
 * The own time of a rehearsal. The options of `npm run bench:own-time` come in, and a table goes out: how long the event loop
 * of a process works that does nothing but rehearse, beside the whole time, most of which is that of Neon's API and of
 * PostgreSQL. Nothing here judges a number.
 */

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { startNeon } from "../../local/neon/neon.ts";
import { startRelay } from "../../local/relay/relay.ts";
import { median, readable } from "../speed/statistics.ts";
import { textTable } from "../speed/text-table.ts";
import type { OwnTime, RehearsalWork } from "./own-time-process.ts";
import { compileTexts } from "./workloads.ts";

const USAGE = `usage: npm run bench:own-time -- [--statements 3,50,500] [--runs 5] [--json]

Rehearses new tables on branches of a stand-in, and prints the medians of what a rehearsal takes. It judges nothing.`;

async function main(): Promise<void> {
  const options = {
    statements: { type: "string", default: "3,50,500" },
    runs: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
  } as const;
  const { statements, runs, json } = readCommandLine(
    { usage: USAGE, config: { options } },
    ({ values }) => ({
      statements: values.statements.split(",").map(wholeNumber),
      runs: wholeNumber(values.runs),
      json: values.json,
    }),
  );
  const scratch = await mkdtemp(join(tmpdir(), "bench-"));
  const neon = await startNeon();
  const target = { host: "127.0.0.1", port: neon.branch("main").port };
  const relay = await startRelay({ target, mode: "neon", route: (host) => neon.route(host) });
  try {
    const { apiKey: key, projectId, url, productionUrl } = neon;
    const way = { access: { key, projectId, url }, productionUrl, relay: relay.address, runs };
    const figures: { readonly statements: number; readonly times: readonly OwnTime[] }[] = [];
    for (const count of statements) {
      console.error(`${count} statements`);
      const texts = Array.from({ length: count }, (_, index) => `CREATE TABLE t${index} (id int)`);
      const bundle = await compileTexts(texts, join(scratch, String(count)), count);
      figures.push({ statements: count, times: await rehearseApart({ ...way, bundle }) });
    }
    console.log(
      json
        ? JSON.stringify(figures, null, 2)
        : textTable(
            ["statements", "first, own time", "then, own time", "whole time", "calls"],
            figures.map(({ statements: count, times: [first, ...then] }) => [
              ...[String(count), readable(first?.ownMs ?? 0)],
              readable(median(then.map(({ ownMs }) => ownMs))),
              readable(median(then.map(({ totalMs }) => totalMs))),
              String(median(then.map(({ calls }) => calls))),
            ]),
          ),
    );
  } finally {
    await relay.stop();
    await neon.stop();
    await rm(scratch, { recursive: true });
  }
}

/** Rehearses in a process of its own, so that its event loop does nothing else. */
async function rehearseApart(work: RehearsalWork): Promise<readonly OwnTime[]> {
  const times: OwnTime[] = [];
  const child = fork(fileURLToPath(new URL("./own-time-process.ts", import.meta.url)), {
    execArgv: ["--import", "tsx"],
  });
  child.on("message", (time: OwnTime) => times.push(time));
  child.send(work);
  const [exitCode] = await once(child, "exit");
  if (exitCode !== 0) throw new Error("A rehearsal failed.");
  return times;
}

await main();
