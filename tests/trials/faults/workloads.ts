import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { STATEMENT_BREAKPOINT } from "../../../lib/bundle/bundle.ts";
import { writeAsset } from "../../../lib/compile/asset.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";

/** Migrations whose double run shows, and the executor that they are for. */
export interface Workload {
  readonly name: "steps" | "transaction" | "procedure" | "maintenance";
  readonly executor: "statements" | "drizzle";
  /** Statements by tag, in order. */
  readonly migrations: Readonly<Record<string, readonly string[]>>;
}

/** So many rows make an index build over their digests take some 70 ms. */
const EVENTS = 5_000;
const DIGEST = "(md5(repeat(kind, 200)))";

/** What is there before the first migration: an application that is alive. */
export const APPLICATION: readonly string[] = [
  "create table accounts (id int primary key, balance int not null, email text)",
  "insert into accounts select n, 100 * n, 'someone' || n || '@example.com' from generate_series(1, 20) n",
  "create table events (id int primary key, kind text not null, amount int not null)",
  `insert into events select n, md5((n % 977)::text), n % 977 from generate_series(1, ${EVENTS}) n`,
  "create index events_outdated on events (id, amount)",
  "create type mood as enum ('sad', 'ok')",
  "create table visits (id int not null, page text) partition by range (id)",
  "create table visits_old partition of visits for values from (0) to (1000)",
  "create table visits_new partition of visits for values from (1000) to (2000)",
  "insert into visits select n, 'page ' || n from generate_series(1, 1999) n",
];

/** Without key or conflict clause: a statement that runs twice makes two rows. */
const insert = (note: string) => `insert into entries (note) values ('${note}')`;
const book = (id: number, amount: number) =>
  `update accounts set balance = balance + ${amount} where id = ${id}`;

/** With everything that no single transaction can hold. */
export const STEPS: Workload = {
  name: "steps",
  executor: "statements",
  migrations: {
    "0000_entries": ["create table entries (note text not null)", insert("tables")],
    "0001_booking": [book(1, 10), insert("booking")],
    "0002_happy": [
      insert("before happy"),
      "alter type mood add value 'happy'",
      "alter table accounts add column mood mood not null default 'happy'",
      insert("happy"),
    ],
    "0003_indexes": [
      book(2, 20),
      `create index concurrently events_kind on events (${DIGEST}, kind)`,
      insert("between the indexes"),
      `create index concurrently on events (${DIGEST})`,
      book(3, 30),
    ],
    "0004_commit": [
      insert("before the commit"),
      "COMMIT",
      insert("behind the commit"),
      book(4, 40),
      "BEGIN",
      "alter table accounts add constraint positive check (balance >= 0)",
      insert("behind the begin"),
    ],
    "0005_drop": ["drop index concurrently events_outdated", insert("dropped"), book(5, 50)],
  },
};

/** Everything in the one transaction that Drizzle's own migrator makes. */
export const TRANSACTION: Workload = {
  name: "transaction",
  executor: "drizzle",
  migrations: {
    "0000_entries": ["create table entries (note text not null)", insert("tables")],
    "0001_booking": [book(1, 10), insert("booking")],
    "0002_columns": [
      "alter table accounts add column nickname text not null default 'none'",
      "create type colour as enum ('red', 'blue')",
      "create index events_kind on events (kind)",
      insert("columns"),
    ],
    "0003_backfill": [
      "update accounts set nickname = 'number ' || id where id < 10",
      `create index on events (${DIGEST})`,
      "drop index events_outdated",
      book(3, 30),
    ],
    "0004_check": [
      "alter table accounts add constraint positive check (balance >= 0)",
      insert("check"),
      book(4, 40),
    ],
  },
};

/** The second half of the procedure below, for a person who finds it half done. */
export const SETTLE_BY_HAND: readonly string[] = [insert("settled"), book(5, 50)];

/** With a procedure that commits half way: nobody but its author can say how far it came. */
export const PROCEDURE: Workload = {
  name: "procedure",
  executor: "statements",
  migrations: {
    "0000_entries": ["create table entries (note text not null)", insert("tables")],
    "0001_procedure": [
      `create procedure settle() language plpgsql as $$ begin
         ${insert("settling")}; ${book(6, 60)}; commit; ${SETTLE_BY_HAND.join("; ")};
       end $$`,
    ],
    "0002_settled": [insert("before"), "call settle()", insert("behind"), book(4, 40)],
  },
};

/** What else stands alone. Not part of a whole bench; `--workloads maintenance` asks for it. */
export const MAINTENANCE: Workload = {
  name: "maintenance",
  executor: "statements",
  migrations: {
    "0000_entries": ["create table entries (note text not null)", insert("tables")],
    "0001_indexed": [
      `create index events_kind on events (${DIGEST})`,
      "reindex index concurrently events_kind",
      insert("reindexed"),
    ],
    "0002_detached": [
      "alter table visits detach partition visits_old concurrently",
      insert("detached"),
    ],
    "0003_vacuum": [book(1, 10), "vacuum analyze events", insert("vacuumed")],
  },
};

/** What a bench runs with unless it is told otherwise. */
export const WORKLOADS: readonly Workload[] = [STEPS, TRANSACTION, PROCEDURE];
/** All that there are. */
export const ALL_WORKLOADS: readonly Workload[] = [...WORKLOADS, MAINTENANCE];

/** Writes what would be deployed for a workload: the handler, the compiled migrations beside it, and their folder, `drizzle`. */
export async function writeWorkload(
  { migrations }: Workload,
  folder: string,
  handler: string,
): Promise<void> {
  const drizzle = join(folder, "drizzle");
  const tags = Object.keys(migrations);
  const entries = tags.map((tag, idx) => ({
    idx,
    version: "7",
    when: 1_000 * (idx + 1),
    tag,
    breakpoints: true,
  }));
  await mkdir(join(drizzle, "meta"), { recursive: true });
  const journal = { version: "7", dialect: "postgresql", entries };
  await writeFile(join(drizzle, "meta", "_journal.json"), JSON.stringify(journal));
  for (const tag of tags) {
    const chunks = (migrations[tag] ?? []).map((statement) => `${statement};`);
    await writeFile(join(drizzle, `${tag}.sql`), chunks.join(`${STATEMENT_BREAKPOINT}\n`));
  }
  await writeAsset(await compileBundle(drizzle), folder, handler);
}
