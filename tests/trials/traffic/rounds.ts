import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate as migrateByDrizzle } from "drizzle-orm/node-postgres/migrator";
import { Client } from "pg";
import { migrateThrough } from "../../../bench/migrate-through.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { runSql } from "../../../local/postgres/admin.ts";
import { type Answered, type Service, startTraffic } from "./traffic.ts";

/** Who migrates while the application works. */
export type Migrator = "nobody" | "drizzle" | "neon-migrate";

/** One round: a session sits in a transaction in which it has read the table, and somebody migrates. */
export interface Round {
  readonly migrator: Migrator;
  /** How the application fared while that session was there. */
  readonly service: Service;
  /** How many requests began when the migration was waiting for that session, and were answered before it left. */
  readonly passed: Answered;
  /** From the start of the migration to its end; null where nobody migrates. */
  readonly migratedMs: number | null;
}

/** What a round is played on. */
export interface Ground {
  /** The connection string of the database's owner. */
  readonly url: string;
  /** The relay through which the product's driver comes there, as host:port/path. */
  readonly relay: string;
  /** Returns when the session is to leave. */
  sit(look: Look): Promise<void>;
  /** What is asked of neon-migrate. Default: nothing, so that its default settings count. */
  readonly request?: Readonly<Record<string, unknown>>;
}

/** What one may see of a round while the session sits there. */
export interface Look {
  passed(): Answered;
  /** How many sessions of the application are being held. */
  held(): Promise<number>;
}

const READ = "select count(*) from accounts where id <= 50";
const WRITE = "update accounts set balance = balance where id = 1 + floor(random() * 1000)";
/** Needs the table for a millisecond, all for itself. */
const CHANGE = "alter table accounts add column note text";
/** For so long the application works before anybody migrates. */
const LEAD_MS = 100;

/** Plays one round, on a table made anew. */
export async function playRound(migrator: Migrator, ground: Ground): Promise<Round> {
  const { url } = ground;
  await prepare(url);
  const folder = await writeFolder();
  const holder = new Client({ connectionString: url });
  await holder.connect();
  await holder.query("begin");
  await holder.query("select from accounts limit 1");
  const traffic = await startTraffic(url, { read: READ, write: WRITE });
  await pause(LEAD_MS);
  const started = performance.now();
  let over = false;
  const migrating = MIGRATORS[migrator](ground, folder)
    .then(() => performance.now() - started)
    .finally(() => {
      over = true;
    });
  while (!over && (await waiting(url, CHANGING)) === 0) await pause(LOOK_EVERY_MS);
  const count = traffic.countFromNow();
  await ground.sit({ passed: count, held: () => waiting(url, HELD) });
  const passed = count();
  // Ends what waits, so the last request that waited counts with all its time.
  await holder.end();
  const service = await traffic.stop();
  const migratedMs = Math.round(await migrating);
  await rm(folder, { recursive: true });
  return { migrator, service, passed, migratedMs: migrator === "nobody" ? null : migratedMs };
}

/** The locks that requests ask for, and that of the change. */
const HELD = ["AccessShareLock", "RowExclusiveLock"];
const CHANGING = ["AccessExclusiveLock"];
const LOOK_EVERY_MS = 5;

/** How many sessions wait for such a lock on the table. */
async function waiting(url: string, modes: readonly string[]): Promise<number> {
  const [row] = await runSql(
    url,
    "select count(*)::int as n from pg_locks where not granted and relation = 'accounts'::regclass and mode = any($1)",
    [modes],
  );
  return Number(row?.n);
}

async function prepare(url: string): Promise<void> {
  for (const statement of [
    "drop table if exists accounts",
    "drop schema if exists drizzle cascade",
    "create table accounts (id int primary key, balance int not null)",
    "insert into accounts select n, 100 from generate_series(1, 1000) n",
  ]) {
    await runSql(url, statement, []);
  }
}

const MIGRATORS: Readonly<Record<Migrator, (ground: Ground, folder: string) => Promise<void>>> = {
  nobody: async () => undefined,
  drizzle: async ({ url }, folder) => {
    const client = new Client({ connectionString: url });
    await client.connect();
    await migrateByDrizzle(drizzle({ client }), { migrationsFolder: folder });
    await client.end();
  },
  "neon-migrate": async (ground, folder) => {
    const report = await migrateThrough(ground, await compileBundle(folder), ground.request);
    if (report.status !== "applied") throw new Error(JSON.stringify(report.error));
  },
};

async function writeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "traffic-"));
  await mkdir(join(folder, "meta"));
  const entry = { idx: 0, version: "7", when: 1_000, tag: "0000_note", breakpoints: true };
  const journal = { version: "7", dialect: "postgresql", entries: [entry] };
  await writeFile(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
  await writeFile(join(folder, "0000_note.sql"), `${CHANGE};`);
  return folder;
}
