import { describe, expect } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { bundleHash } from "../../../lib/bundle/hash.ts";
import { NO_NAMES, overviewOf } from "../../../lib/bundle/overview.ts";
import type { Target } from "../../../lib/target/target.ts";
import type { Relay } from "../../../local/relay/relay.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const COUNT = 40;
const bundle = makeBundle(
  ...Array.from({ length: COUNT }, (_, index) =>
    makeMigration(
      `${String(index).padStart(4, "0")}_step`,
      1_000_000 + index * 1_000,
      `select ${index}`,
    ),
  ),
);
const migrations = bundle.migrations.map((each) => ({ ...each, name: each.tag }));
const named: Bundle = { ...bundle, layout: "1.0", hash: bundleHash(migrations), migrations };

const TABLE = "__drizzle_migrations";
const LEDGER = `drizzle.${TABLE}`;
const OLD = "id serial primary key, hash text not null, created_at bigint";
const NEW = `${OLD}, name text, applied_at timestamptz default now()`;

interface Shape {
  /** SQL of the database's owner. */
  readonly sql: string;
  /** Default: in the layout 0.x. */
  readonly bundle?: Bundle;
  readonly status: "up-to-date" | "planned" | "failed";
  /** Whether the rows stay with the server. */
  readonly short: boolean;
}

/** Every migration as a row. */
function rowsOf(of: Bundle, columns: "hash, created_at" | "hash, created_at, name"): string {
  const rows = of.migrations.map(
    ({ hash, when, name }) =>
      `('${hash}', ${when}${columns.endsWith("name") ? `, '${name}'` : ""})`,
  );
  return `insert into ${LEDGER} (${columns}) select * from (values ${rows.join(", ")}) as v`;
}

const made = (columns: string, ...rest: readonly string[]) =>
  [`create schema drizzle`, `create table ${LEDGER} (${columns})`, ...rest].join(";\n");
const old = (...rest: readonly string[]) => made(OLD, rowsOf(bundle, "hash, created_at"), ...rest);
const newer = (of: Bundle, ...rest: readonly string[]) =>
  made(NEW, rowsOf(of, "hash, created_at, name"), ...rest);
const last = `(select max(id) from ${LEDGER})`;

const SHAPES: Readonly<Record<string, Shape>> = {
  "is complete": { sql: old(), status: "up-to-date", short: true },
  "is complete, and has names": { sql: newer(bundle), status: "up-to-date", short: true },
  "is complete, with names, of folders that have them": {
    ...{ sql: newer(named), bundle: named, status: "up-to-date", short: true },
  },
  "is complete, without names, of folders that have them": {
    ...{ sql: old(), bundle: named, status: "up-to-date", short: false },
  },
  "is complete, in another order": {
    ...{ sql: old(`update ${LEDGER} set id = 1000 - id`), status: "up-to-date", short: true },
  },
  "is complete, and was written anew": {
    ...{
      sql: old(`update ${LEDGER} set hash = hash where id % 3 = 0`),
      status: "up-to-date",
      short: true,
    },
  },
  "is complete, without ids": {
    ...{
      sql: old(`alter table ${LEDGER} drop column id, add column id int`),
      status: "up-to-date",
      short: true,
    },
  },
  "is complete, of other types": {
    sql: made(
      "id bigserial, hash varchar(64), created_at numeric",
      rowsOf(bundle, "hash, created_at"),
    ),
    ...{ status: "up-to-date", short: true },
  },
  "is complete, partitioned": {
    sql: [
      `create schema drizzle; create table ${LEDGER} (id serial, hash text not null, created_at bigint) partition by range (id)`,
      `create table drizzle.one partition of ${LEDGER} for values from (1) to (20)`,
      `create table drizzle.others partition of ${LEDGER} default`,
      rowsOf(bundle, "hash, created_at"),
    ].join(";\n"),
    ...{ status: "up-to-date", short: true },
  },
  "is complete, in the fallback place": {
    ...{ sql: old(`alter table ${LEDGER} set schema public`), status: "up-to-date", short: true },
  },
  "is complete in both places": {
    sql: old(`create table public.${TABLE} as select * from ${LEDGER}`),
    ...{ status: "up-to-date", short: true },
  },
  "is complete in one place, and begun in the other": {
    sql: old(`create table public.${TABLE} as select * from ${LEDGER} where id < 9`),
    ...{ status: "up-to-date", short: true },
  },
  "is complete but for a name": {
    ...{
      sql: newer(bundle, `update ${LEDGER} set name = null where id = 3`),
      status: "up-to-date",
      short: false,
    },
  },
  "is complete but for all names": {
    ...{
      sql: newer(bundle, `update ${LEDGER} set name = null`),
      status: "up-to-date",
      short: false,
    },
  },
  "lacks the last row": {
    ...{ sql: old(`delete from ${LEDGER} where id = ${last}`), status: "planned", short: false },
  },
  "lacks one in the middle": {
    ...{ sql: old(`delete from ${LEDGER} where id = 7`), status: "failed", short: false },
  },
  "has a row more": {
    sql: old(`insert into ${LEDGER} (hash, created_at) values ('more', 9000000)`),
    ...{ status: "up-to-date", short: false },
  },
  "has a row twice": {
    sql: old(
      `insert into ${LEDGER} (hash, created_at) select hash, created_at from ${LEDGER} where id = 5`,
    ),
    ...{ status: "up-to-date", short: false },
  },
  "has one row twice and lacks another": {
    sql: old(
      `update ${LEDGER} a set hash = b.hash, created_at = b.created_at from ${LEDGER} b where a.id = 6 and b.id = 5`,
    ),
    ...{ status: "failed", short: false },
  },
  "has another hash": {
    ...{
      sql: old(`update ${LEDGER} set hash = repeat('0', 64) where id = 4`),
      status: "up-to-date",
      short: false,
    },
  },
  "has another time": {
    ...{
      sql: old(`update ${LEDGER} set created_at = created_at + 1 where id = 4`),
      status: "up-to-date",
      short: false,
    },
  },
  "has a row without a time": {
    ...{
      sql: old(`update ${LEDGER} set created_at = null where id = 4`),
      status: "up-to-date",
      short: false,
    },
  },
  "has changed the hashes of two rows": {
    sql: old(
      `update ${LEDGER} a set hash = b.hash from ${LEDGER} b where (a.id, b.id) in ((1, 2), (2, 1))`,
    ),
    ...{ status: "up-to-date", short: false },
  },
  "is empty": { sql: made(OLD), status: "planned", short: false },
  "has nothing but a column": {
    sql: made("hash text", `insert into ${LEDGER} values ('x')`),
    status: "failed",
    short: false,
  },
  "has a column of a type without an order": {
    sql: made(
      "id serial, hash text, created_at json",
      `insert into ${LEDGER} values (1, 'x', '5')`,
    ),
    ...{ status: "planned", short: false },
  },
  "is not there": { sql: "select 1", status: "planned", short: false },
};

/** Another bundle of the same migrations: with it every row is asked for. */
function unknown(of: Bundle): Bundle {
  return { ...of, overview: { ...overviewOf(of), complete: { "0.x": null, "1.0": null } } };
}

async function planned(target: Target, of: Bundle, relay: Relay) {
  relay.resetStats();
  const { timings: _, restorePoint: __, ...report } = await run(target, of, { action: "plan" });
  const { bytesToClient, roundTrips } = relay.stats();
  return { report, bytesToClient, roundTrips };
}

async function expectSame(target: Target, relay: Relay, shape: Shape): Promise<void> {
  const { bundle: of = bundle, status, short } = shape;

  const byDigest = await planned(target, of, relay);
  const byRows = await planned(target, unknown(of), relay);

  expect(byDigest.report).toEqual(byRows.report);
  expect(byDigest.report.status, JSON.stringify(byDigest.report.error)).toBe(status);
  expect(byDigest.roundTrips).toBe(byRows.roundTrips);
  const saved = byRows.bytesToClient - byDigest.bytesToClient;
  if (short) expect(saved).toBeGreaterThan(COUNT * 64);
  else expect(saved).toBeLessThanOrEqual(0);
}

describe("a run that sends a digest finds what one finds that reads every row, where the ledger", () => {
  test.for(Object.entries(SHAPES))("%s", async ([, shape], { database, relay, target }) => {
    await database.sqlAsOwner(shape.sql);

    await expectSame(target, relay, shape);
  });

  test("is that of another role, which is believed", async ({ database, relay }) => {
    const guest = await database.createRole("guest");
    await database.sqlAsOwner(old());
    await database.sqlAsOwner(
      `grant usage on schema drizzle to ${guest.name}; grant select on ${LEDGER} to ${guest.name}`,
    );

    const target = targetOf(database.urlOf(guest), relay.address);
    await expectSame(target, relay, { sql: "", status: "up-to-date", short: true });
    await database.sql(`drop owned by ${guest.name}`);
  });

  test.for(["o'ne\\two", 'a "name" @ %s', "hash", "name"])(
    "has the name %s",
    async (table, { database, relay, target }) => {
      const quoted = `"${table.replaceAll('"', '""')}"`;
      await database.sqlAsOwner(old(`alter table ${LEDGER} rename to ${quoted}`));

      const ledger = { schema: "drizzle", table };
      await expectSame({ ...target, ledger }, relay, {
        sql: "",
        status: "up-to-date",
        short: true,
      });
    },
  );

  test("is complete, beside a checkpoint of another folder", async ({
    database,
    relay,
    target,
  }) => {
    await begun(database, target);
    await database.sqlAsOwner(`truncate ${LEDGER}; ${rowsOf(bundle, "hash, created_at")}`);

    const { report } = await planned(target, bundle, relay);
    await expectSame(target, relay, { sql: "", status: "up-to-date", short: true });
    expect(report.warnings).toMatchObject([{ code: "HALF_APPLIED_ELSEWHERE" }]);
  });
});

/** Leaves a checkpoint behind. */
async function begun(database: TestDatabase, target: Target): Promise<void> {
  await database.sqlAsOwner("create table notes (id int)");
  const half = makeMigration(
    "0000_half",
    5,
    "create index concurrently on notes (id)",
    "select 1 / 0",
  );
  const { error } = await run(target, makeBundle(half));
  expect(error?.code).toBe("MIGRATION_FAILED");
}

test("a ledger whose rows claim to have no names is refused", async ({ database, target }) => {
  await database.sqlAsOwner(newer(bundle, `update ${LEDGER} set name = '${NO_NAMES}'`));

  const report = await run(target, bundle);

  expect(report.error?.code).toBe("LEDGER_UNKNOWN_FORMAT");
});

test("who asks for the status is told of every row all the same", async ({ database, target }) => {
  await database.sqlAsOwner(newer(bundle, `update ${LEDGER} set applied_at = 'epoch'`));

  const report = await run(target, bundle, { action: "status" });

  expect(report.applied.map(({ appliedAt }) => appliedAt)).toEqual(
    Array(COUNT).fill("1970-01-01T00:00:00.000Z"),
  );
});

test("nothing to do needs no migration of the bundle", async ({ database, target }) => {
  await database.sqlAsOwner(old());
  const { overview = overviewOf(bundle) } = bundle;
  const opened: Bundle = {
    ...{ bundleVersion: 1, layout: "0.x", hash: bundle.hash, overview },
    warnings: [{ code: "ORPHAN_FILE", message: "a file", settledBy: ["0001_step"] }],
    get migrations(): never {
      throw new Error("Somebody has read the migrations.");
    },
  };

  const { timings: _, ...report } = await run(target, opened);

  expect(report).toMatchObject({
    ...{ status: "up-to-date", latest: "0039_step", warnings: [], pending: [], applied: [] },
    ...{ atomic: true, executor: null, ledger: { schema: "drizzle", format: "0.x" } },
  });
});
