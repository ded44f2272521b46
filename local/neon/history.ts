/*
 * The history of a project: a base backup of its first branch, and the write-ahead log of all branches in one archive. Out
 * of it comes a server with the data of any branch at any point. PostgreSQL itself keeps the branches apart: a server that
 * ends its recovery takes the next free number of a timeline, and leaves a file that says where it left the older one.
 * Nothing here changes a branch that exists.
 */

import { existsSync } from "node:fs";
import { chown, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { type Cluster, createCluster, startServer } from "../postgres/server.ts";
import {
  adminOf,
  type Compute,
  createPlace,
  dataOf,
  type Place,
  SUPERUSER,
  urlOf,
} from "./compute.ts";
import { copyData } from "./copy-data.ts";

/** The archive of one project, and its base backup. */
export interface History {
  readonly place: Place;
  /** The end of the base backup. Nothing before it can be reached. */
  start: Point;
}

/** A moment of a branch. */
export interface Point {
  readonly lsn: string;
  readonly time: Date;
}

/** The state that a recovery stops at; `head` is that of this moment. */
export type Aim =
  | { readonly kind: "head" }
  | { readonly kind: "lsn"; readonly lsn: string }
  | { readonly kind: "time"; readonly time: Date };

/** A data folder that waits for its recovery. */
export interface Prepared {
  readonly cluster: Cluster;
  readonly place: Place;
  readonly settings: Readonly<Record<string, string>>;
}

/** Longest wait for a file of the archive. */
const ARCHIVE_TIMEOUT_MS = 120_000;
const POLL_MS = 10;

/** Starts the first server of a project. Its history begins at once. */
export async function beginHistory(password: string): Promise<{ history: History; root: Compute }> {
  const kept = await createPlace();
  const place = await createPlace();
  try {
    const cluster = await createCluster(place.directory, {
      superuser: SUPERUSER,
      password,
      authMethod: "password",
      settings: archiving(kept),
    });
    await mkdir(archiveOf(kept), { mode: 0o700 });
    const { account } = cluster;
    if (account !== null) await chown(archiveOf(kept), account.uid, account.gid);
    const server = await startServer(cluster, null);
    const root: Compute = { cluster, guard: place.guard, password, server, timeline: 1 };
    return { history: { place: kept, start: await keepBase(kept, root) }, root };
  } catch (thrown) {
    await Promise.all([kept.guard.release(), place.guard.release()]);
    throw thrown;
  }
}

/** Lets the history begin anew, with the present state of a branch. What was before can no longer be reached. */
export async function beginAnew(history: History, compute: Compute): Promise<void> {
  history.start = await keepBase(history.place, compute);
}

/** Returns the point up to which a branch is written. */
export async function headOf(compute: Compute): Promise<Point> {
  const [row] = await adminOf(compute).sql(
    "select pg_current_wal_insert_lsn()::text as lsn, extract(epoch from clock_timestamp())::float8 as time",
  );
  return { lsn: String(row?.lsn), time: new Date(Number(row?.time) * 1_000) };
}

/** Makes a data folder from which a server recovers the state of a branch. The branch goes on meanwhile. */
export async function prepare(
  { place: kept }: History,
  source: Compute,
  aim: Aim,
): Promise<Prepared> {
  const place = await createPlace();
  try {
    const { account } = source.cluster;
    const data = dataOf(place.directory);
    if (aim.kind === "head") {
      await backUp(kept, source, data);
    } else {
      await closeSegment(kept, source);
      await copyData(baseOf(kept), data, account);
      await writeOwned(join(data, "backup_label"), await readFile(labelOf(kept), "utf8"), source);
    }
    await writeOwned(join(data, "recovery.signal"), "", source);
    const cluster = { ...source.cluster, directory: place.directory };
    return { cluster, place, settings: recovering(kept, source, aim) };
  } catch (thrown) {
    await place.guard.release();
    throw thrown;
  }
}

/**
 * Starts the server of a prepared folder, and waits until its recovery is over and it takes connections.
 * @returns the compute, and the point at which it left its source
 * @throws Error with the server's log
 */
export async function recover(
  { place: kept }: History,
  { cluster, place, settings }: Prepared,
  { password, port }: { readonly password: string; readonly port: number | null },
): Promise<{ readonly compute: Compute; readonly lsn: string }> {
  const own = { ...cluster.settings, ...settings };
  const server = await startServer({ ...cluster, settings: own }, port);
  const started = { cluster, guard: place.guard, password, server };
  const [row] = await adminOf(started).sql("select pg_walfile_name(pg_current_wal_lsn()) as file");
  const timeline = Number.parseInt(String(row?.file).slice(0, 8), 16);
  const file = join(archiveOf(kept), `${timelineName(timeline)}.history`);
  await untilArchived(file);
  const left = (await readFile(file, "utf8")).trim().split("\n").at(-1);
  return { compute: { ...started, timeline }, lsn: left?.split(/\s+/)[1] ?? "" };
}

/** Compares two places in the log, as PostgreSQL writes them. @returns a negative number where the first comes first */
export function compareLsn(one: string, other: string): number {
  const [a, b] = [lsnNumber(one), lsnNumber(other)];
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function lsnNumber(lsn: string): bigint {
  const [high = "0", low = "0"] = lsn.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

function archiveOf({ directory }: Place): string {
  return join(directory, "archive");
}

function baseOf({ directory }: Place): string {
  return join(directory, "base");
}

function labelOf({ directory }: Place): string {
  return join(directory, "base-label");
}

function timelineName(timeline: number): string {
  return timeline.toString(16).toUpperCase().padStart(8, "0");
}

function archiving(kept: Place): Readonly<Record<string, string>> {
  const target = shellPath(`${archiveOf(kept)}/`);
  return {
    wal_level: "replica",
    archive_mode: "on",
    // A file that is there is whole.
    archive_command: `cp "%p" ${target}%f.$$ && mv -f ${target}%f.$$ ${target}%f`,
    hot_standby: "off",
  };
}

function recovering(kept: Place, source: Compute, aim: Aim): Readonly<Record<string, string>> {
  return {
    restore_command: `cp ${shellPath(`${archiveOf(kept)}/`)}%f "%p"`,
    recovery_target_timeline: String(source.timeline),
    recovery_target_action: "promote",
    ...(aim.kind === "head" && { recovery_target: "immediate" }),
    ...(aim.kind === "lsn" && { recovery_target_lsn: aim.lsn, recovery_target_inclusive: "off" }),
    ...(aim.kind === "time" && { recovery_target_time: pgTime(aim.time) }),
  };
}

/** A setting of the server's start knows no names of time zones, and `Z` is one. */
function pgTime(time: Date): string {
  return time.toISOString().replace("T", " ").replace("Z", "+00");
}

/** Quotes a path for the server's shell; a percent sign means something to the server. */
function shellPath(path: string): string {
  return `'${path.replaceAll("%", "%%").replaceAll("'", "'\\''")}'`;
}

async function keepBase(kept: Place, compute: Compute): Promise<Point> {
  const fresh = join(kept.directory, "next-base");
  await backUp(kept, compute, fresh);
  await rm(baseOf(kept), { recursive: true, force: true });
  await rename(join(fresh, "backup_label"), labelOf(kept));
  await rename(fresh, baseOf(kept));
  return await headOf(compute);
}

/** The calls around a copy of the data folder. PostgreSQL itself would look for the archived log once a second only. */
const BACKUP = {
  start: "pg_backup_start('branch', true)",
  stop: "pg_backup_stop(wait_for_archive => false)",
};
const BACKUP_BEFORE_15 = {
  start: "pg_start_backup('branch', true, false)",
  stop: "pg_stop_backup(false, wait_for_archive => false)",
};

/** Copies the data folder of a running server, between the two calls that PostgreSQL asks for. */
async function backUp(kept: Place, compute: Compute, folder: string): Promise<void> {
  const client = new Client({ connectionString: urlOf(compute) });
  // A server that ends in between makes the next query fail.
  client.on("error", () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query("show server_version_num");
    const calls = Number(rows[0]?.server_version_num) < 150_000 ? BACKUP_BEFORE_15 : BACKUP;
    await client.query(`select ${calls.start}`);
    await copyData(dataOf(compute.cluster.directory), folder, compute.cluster.account);
    const stopped = await client.query(
      `select labelfile, pg_walfile_name(lsn) as file from ${calls.stop}`,
    );
    await untilArchived(join(archiveOf(kept), stopped.rows[0].file));
    await writeOwned(join(folder, "backup_label"), stopped.rows[0].labelfile, compute);
  } finally {
    await client.end();
  }
}

async function writeOwned(path: string, content: string, { cluster }: Compute): Promise<void> {
  await writeFile(path, content, { mode: 0o600 });
  if (cluster.account !== null) await chown(path, cluster.account.uid, cluster.account.gid);
}

/**
 * Puts the log of a branch up to this moment into the archive. A recovery finds its aim only where something comes behind
 * it: a record behind a place in the log, a later commit behind a time.
 */
async function closeSegment(kept: Place, source: Compute): Promise<void> {
  const { sql } = adminOf(source);
  await sql("select pg_current_xact_id()");
  const [row] = await sql("select pg_walfile_name(pg_current_wal_insert_lsn()) as file");
  await sql("select pg_switch_wal()");
  await untilArchived(join(archiveOf(kept), String(row?.file)));
}

async function untilArchived(file: string): Promise<void> {
  const until = Date.now() + ARCHIVE_TIMEOUT_MS;
  while (!existsSync(file)) {
    if (Date.now() > until)
      throw new Error(`${file} did not come within ${ARCHIVE_TIMEOUT_MS} ms.`);
    await pause(POLL_MS);
  }
}
