import { chown, copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Account } from "../postgres/binaries.ts";

/** Folders whose content belongs to the running server alone (PostgreSQL, "Backing Up the Data Directory"). */
const EMPTIED = [
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
];

const LEFT_OUT =
  /^(?:postmaster\.(?:pid|opts)|pgsql_tmp.*|pg_internal\.init.*|backup_label|tablespace_map|(?:recovery|standby)\.signal)$/;

/**
 * Copies a data folder into an empty one. The server may go on: files that it deletes meanwhile are left out, and what it
 * writes meanwhile is in its log.
 */
export async function copyData(from: string, to: string, account: Account | null): Promise<void> {
  await makeFolder(to, account);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, copy] = [join(from, entry.name), join(to, entry.name)];
    if (LEFT_OUT.test(entry.name)) continue;
    if (EMPTIED.includes(entry.name)) await makeFolder(copy, account);
    else if (entry.isDirectory()) await unlessGone(copyData(source, copy, account));
    else if (entry.isFile()) await unlessGone(copyOne(source, copy, account));
  }
}

async function makeFolder(path: string, account: Account | null): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (account !== null) await chown(path, account.uid, account.gid);
}

async function copyOne(from: string, to: string, account: Account | null): Promise<void> {
  await copyFile(from, to);
  if (account !== null) await chown(to, account.uid, account.gid);
}

async function unlessGone(copying: Promise<void>): Promise<void> {
  try {
    await copying;
  } catch (thrown) {
    if (Reflect.get(Object(thrown), "code") !== "ENOENT") throw thrown;
  }
}
