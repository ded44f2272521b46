import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { openBundle } from "../../lib/bundle/open-bundle.ts";
import { migrateThrough } from "../migrate-through.ts";
import { applyByDrizzle, type Site, send } from "../speed/contestants.ts";
import type { LockoutWorkload } from "./workload.ts";

/** The place where a contestant works. */
export interface LockoutSite extends Site {
  /** The owner's connection string for a program that speaks TCP, with the same latency. */
  readonly tcpUrl: string;
}

/** One way to apply migrations. */
export interface LockoutContestant {
  readonly name: string;
  /** Whether it waits for the answer to each statement. */
  readonly waits: boolean;
  /** @returns the time in which others were locked out by its own report, in ms; null where it does not say */
  apply(workload: LockoutWorkload, site: LockoutSite): Promise<number | null>;
}

const DRIZZLE_KIT: string = resolve("node_modules/drizzle-kit/bin.cjs");
const run = promisify(execFile);

/** The contestants that this machine has. The last is the floor. */
export async function lockoutContestants(): Promise<readonly LockoutContestant[]> {
  const hasPsql = await run("psql", ["--version"]).then(
    () => true,
    () => false,
  );
  const byPsql = { name: "psql, one transaction", waits: true, apply: applyByPsql };
  return [
    {
      name: "Drizzle 0.45.4",
      waits: true,
      apply: async (workload, site) => {
        await applyByDrizzle(workload, site);
        return null;
      },
    },
    { name: "drizzle-kit migrate", waits: true, apply: applyByKit },
    ...(hasPsql ? [byPsql] : []),
    { name: "ours, drizzle", waits: false, apply: byUs("auto") },
    { name: "ours, statements", waits: false, apply: byUs("statements") },
    {
      name: "one script in one message",
      waits: false,
      apply: async ({ oneQuery }, site) => {
        await send(oneQuery, site);
        return null;
      },
    },
  ];
}

function byUs(executor: "auto" | "statements"): LockoutContestant["apply"] {
  return async ({ bundle: folder }, site) => {
    const bundle = openBundle(join(folder, "bundle.json"));
    const report = await migrateThrough(site, bundle, { executor, timeoutMs: 900_000 });
    if (report.status === "failed") throw new Error(report.error?.message);
    return report.lockedOutMs;
  };
}

async function applyByKit({ folder }: LockoutWorkload, { tcpUrl }: LockoutSite): Promise<null> {
  const config = join(folder, "kit.config.json");
  const dbCredentials = { url: tcpUrl };
  await writeFile(config, JSON.stringify({ dialect: "postgresql", out: folder, dbCredentials }));
  await run(process.execPath, [DRIZZLE_KIT, "migrate", `--config=${config}`]);
  return null;
}

async function applyByPsql({ script }: LockoutWorkload, { tcpUrl }: LockoutSite): Promise<null> {
  await run("psql", ["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", script, tcpUrl]);
  return null;
}
