import { beforeEach, describe, expect, test } from "vitest";
import type { Target } from "../../../lib/target/target.ts";
import type { Role } from "../../../local/postgres/admin.ts";
import { untilUnlocked } from "../../setup/advisory-locks.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { replacing } from "../../setup/replacing.ts";
import { run, targetOf } from "../../setup/run.ts";
import { waitFor } from "../../setup/wait-for.ts";

const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const bundle = makeBundle(first);

let database: TestDatabase;
let relay: string;
let owner: Target;

beforeEach(async () => {
  database = await createTestDatabase();
  relay = (await database.startRelay()).address;
  owner = targetOf(database.url, relay);
  return () => database.close();
});

/** A ledger as somebody else may have made it. */
async function writeLedger(columns: string, ...rows: readonly string[]): Promise<void> {
  const values = rows.map((row) => `insert into drizzle.__drizzle_migrations values (${row})`);
  const table = `create schema drizzle; create table drizzle.__drizzle_migrations (${columns})`;
  await database.sqlAsOwner([table, ...values].join(";"));
}

describe("the ledger is read", () => {
  test("in the order of its ids, whatever is written in it", async () => {
    const odd = `<a href="x">&amp; \\ '\n\t</rows> "id":`;
    await writeLedger(
      "id int, hash text, created_at bigint, name text, note json",
      `7, $$${odd}$$, 2000, $$${odd}$$, E'{"<&>":\\r\\n[1]}'`,
      "2, 'two', null, null, null",
    );

    const report = await run(owner, bundle, { action: "status" });

    expect(report.ledger).toMatchObject({ format: "1.0" });
    expect(report.drift.unknown).toEqual([
      { hash: "two", when: null, name: null, appliedAt: null },
      { hash: odd, when: 2_000, name: odd, appliedAt: null },
    ]);
  });

  test("with its columns also where it is empty", async () => {
    await writeLedger("id serial, hash text, created_at bigint, name text");

    expect(await run(owner, bundle, { action: "status" })).toMatchObject({
      status: "planned",
      ledger: { schema: "drizzle", format: "1.0" },
    });
  });

  test("also where its rows have lost their ids, as a copy of the table has", async () => {
    await writeLedger("id int, hash text, created_at bigint", `null, '${first.hash}', 1000`);

    expect(await run(owner, bundle)).toMatchObject({ status: "up-to-date", applied: [] });
  });

  test("only where its times are numbers: nothing would count as applied", async () => {
    await writeLedger("id int, hash text, created_at timestamptz", "1, 'x', now()");

    const report = await run(owner, bundle);

    expect(report.error?.code).toBe("LEDGER_UNKNOWN_FORMAT");
    expect(report.error?.message).toContain("created_at holds no number");
  });

  test("as it is under the lock, also by a role whose transactions keep their first snapshot", async () => {
    const { name } = database.owner;
    const gate = 4_711;
    await database.sql(`
      ${replacing("pg_is_in_recovery")}
      create function pg_catalog.pg_is_in_recovery() returns boolean language plpgsql as $$ begin
        if current_setting('application_name') like '%/test' then
          perform pg_advisory_lock_shared(${gate}); perform pg_advisory_unlock_shared(${gate});
        end if;
        return false;
      end $$;
      commit;
      alter role ${name} set default_transaction_isolation = 'repeatable read';
    `);
    const holder = await database.hold(`select pg_advisory_lock(${gate})`);
    const waiting = run(owner, bundle);
    await waitFor(async () => {
      const [row] = await database.sql(
        "select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted and objid = $1",
        [gate],
      );
      return row?.n === 1;
    });

    await writeLedger("id serial, hash text, created_at bigint", `1, '${first.hash}', 1000`);
    await holder.release();

    expect(await waiting).toMatchObject({ status: "up-to-date", applied: [] });
  });
});

test("of two that create the ledger's schema at once nobody fails", async () => {
  const other = await database.hold("create schema drizzle");
  const running = run(owner, bundle);
  await waitFor(async () => {
    const waiting = await database.sql(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return waiting.length > 0;
  });

  await other.sql("commit");
  await other.release();

  expect(await running).toMatchObject({ status: "applied", ledger: { schema: "drizzle" } });
});

describe("a role that may do little", () => {
  let guest: Role;
  let target: Target;

  beforeEach(async () => {
    guest = await database.createRole("guest");
    target = targetOf(database.urlOf(guest), relay);
    await database.sql(`grant usage, create on schema public to ${guest.name}`);
  });

  test("has its ledger in public where the schema is closed to it and empty", async () => {
    await database.sqlAsOwner("create schema drizzle");

    const fresh = await run(target, bundle);
    await untilUnlocked(database);
    const again = await run(target, bundle);

    expect(fresh).toMatchObject({ status: "applied", ledger: { schema: "public" } });
    expect(again).toMatchObject({ status: "up-to-date", roundTrips: 2 });
  });

  test("is refused before anything runs where it may not use the ledger's sequence, and the GRANTs help", async () => {
    await writeLedger("id serial, hash text, created_at bigint");
    await database.sqlAsOwner(`
      grant usage on schema drizzle to ${guest.name};
      grant select, insert on drizzle.__drizzle_migrations to ${guest.name};
    `);

    const denied = await run(target, bundle);
    await database.sqlAsOwner(
      denied.error?.message.split("As the owner of the database: ")[1] ?? "",
    );
    const helped = await run(target, bundle);

    expect(denied.error?.code).toBe("LEDGER_DENIED");
    expect(helped).toMatchObject({ status: "applied", ledger: { schema: "drizzle" } });
  });

  test("runs nothing where row-level security hides the ledger's rows from it", async () => {
    await run(owner, bundle);
    await database.sqlAsOwner(`
      alter table drizzle.__drizzle_migrations enable row level security;
      grant usage on schema drizzle to ${guest.name};
      grant select, insert on drizzle.__drizzle_migrations to ${guest.name};
      grant usage on sequence drizzle.__drizzle_migrations_id_seq to ${guest.name};
    `);

    const hidden = await run(target, bundle);
    await database.sqlAsOwner(
      "create policy seen on drizzle.__drizzle_migrations using (true) with check (true)",
    );
    const seen = await run(target, bundle);

    expect(hidden.error?.code).toBe("LEDGER_DENIED");
    expect(hidden.error?.message).toContain("disable row level security");
    expect(seen.status).toBe("up-to-date");
  });
});
