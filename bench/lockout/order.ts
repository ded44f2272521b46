/*
 * Order. Folders of migrations come in, and a table goes out: how much shorter others would be locked out if a run sent first
 * what locks nothing of before, within the same transaction. Each folder is deployed some migrations at a time, on a PostgreSQL
 * of its own. Nothing here judges a number.
 */

import type { Bundle, Migration, Statement } from "../../lib/bundle/bundle.ts";
import { lockOutBy, surelyMade } from "../../lib/bundle/lock-out.ts";
import { nameOf } from "../../lib/bundle/statement-locks.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { Report } from "../../lib/report/report.ts";
import { existing, readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { startRelay } from "../../local/relay/relay.ts";
import { migrateThrough } from "../migrate-through.ts";
import { readable } from "../speed/statistics.ts";
import { textTable } from "../speed/text-table.ts";

const USAGE = `usage: npx tsx bench/lockout/order.ts [--at-a-time 1] FOLDER…

Deploys each folder so many migrations at a time, and says how much of the time in which others were locked out goes to
statements that could stand in front of the first lock.`;

/** Kinds that make something, and run nobody's code. */
const MAKES: readonly string[] = ["CreateStmt", "CreateEnumStmt", "IndexStmt", "AlterTableStmt"];

interface Deployment {
  readonly lockedOutMs: number;
  /** The time of the statements that could stand in front. */
  readonly movableMs: number;
}

const DATABASE = "bench";

async function main(): Promise<void> {
  const config = {
    options: { "at-a-time": { type: "string", default: "1" } },
    allowPositionals: true,
  } as const;
  const { atATime, folders } = readCommandLine({ usage: USAGE, config }, (parsed) => ({
    atATime: wholeNumber(parsed.values["at-a-time"]),
    folders: existing(parsed.positionals),
  }));
  const rows: string[][] = [];
  for (const folder of folders) {
    const found = await deploy(folder, atATime);
    const sum = (pick: (each: Deployment) => number) =>
      found.reduce((total, each) => total + pick(each), 0);
    const [lockedOut, movable] = [sum((each) => each.lockedOutMs), sum((each) => each.movableMs)];
    const shorter = found.filter(({ movableMs }) => movableMs > 0);
    rows.push([
      folder.split("/").slice(-4).join("/"),
      ...[String(found.length), String(shorter.length), readable(lockedOut), readable(movable)],
      `${((movable / Math.max(lockedOut, 1)) * 100).toFixed(1)} %`,
      readable(Math.max(0, ...found.map(({ movableMs }) => movableMs))),
    ]);
  }
  const headings = ["folder", "deployments that lock", "could be shorter", "locked out", "movable"];
  console.log(textTable([...headings, "share", "most in one"], rows));
}

async function deploy(folder: string, atATime: number): Promise<readonly Deployment[]> {
  const bundle = await compileBundle(folder);
  const postgres = await startPostgres();
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  try {
    const role = await postgres.admin.createRole("bench");
    // Some folders make roles and extensions.
    await postgres.admin.sql("alter role bench superuser");
    await postgres.admin.createDatabase(DATABASE, { owner: role.name });
    const site = { url: postgres.url(DATABASE, role), relay: relay.address };
    const found: Deployment[] = [];
    for (let end = atATime; end - atATime < bundle.migrations.length; end += atATime) {
      const migrations = bundle.migrations.slice(0, end);
      const own = migrations.slice(end - atATime);
      const report = await apply(site, { ...bundle, migrations });
      if (report === null) break;
      found.push(...deploymentOf(own, report));
    }
    return found;
  } finally {
    await relay.stop();
    await postgres.stop();
  }
}

async function apply(
  site: { readonly url: string; readonly relay: string },
  bundle: Bundle,
): Promise<Report | null> {
  const request = { executor: "statements", timeoutMs: 900_000, outOfOrder: "apply" };
  const report = await migrateThrough(site, bundle, request);
  if (report.status === "applied") return report;
  console.error(`${bundle.migrations.at(-1)?.tag}: ${report.error?.message ?? report.status}`);
  return null;
}

/** Only deployments in one transaction count: elsewhere nothing may change its place anyway. */
function deploymentOf(own: readonly Migration[], report: Report): readonly Deployment[] {
  const [lockout, ...others] = report.lockouts;
  const lockedOutMs = lockout?.durationMs ?? null;
  if (lockedOutMs === null || others.length > 0 || !report.atomic) return [];
  return [{ lockedOutMs, movableMs: movableMs(timedOf(own, report)) }];
}

/** Adds up the times of the statements behind the first lock that could stand in front of it. */
function movableMs(timed: ReturnType<typeof timedOf>): number {
  const made = new Set<string>();
  const kept = new Set<string>();
  let sum = 0;
  let isLocked = false;
  const add = (names: Set<string>, more: readonly string[]) => {
    for (const name of more) names.add(name);
  };
  for (const { migration, statement, index, ms } of timed) {
    const lock = lockOutBy(migration, index, { before: new Set(), within: made });
    add(made, surelyMade(migration, statement));
    isLocked ||= lock !== null;
    if (!isLocked) continue;
    if (lock === null && isFree(statement, kept)) sum += ms;
    else add(kept, (statement.touches ?? []).map(nameOf));
  }
  return sum;
}

function timedOf(own: readonly Migration[], report: Report) {
  return own.flatMap((migration) => {
    const times = report.applied.find(({ tag }) => tag === migration.tag)?.statementMs ?? [];
    return migration.statements.map((statement, index) => ({
      ...{ migration, statement, index },
      ms: times[index] ?? 0,
    }));
  });
}

/** Whether a statement has nothing to do with those that must stay behind the lock. */
function isFree({ kind, touches = [] }: Statement, kept: ReadonlySet<string>): boolean {
  return MAKES.includes(kind) && !touches.some((each) => kept.has(nameOf(each)));
}

await main();
