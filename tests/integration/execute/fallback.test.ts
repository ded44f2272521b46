import { beforeEach, describe, expect, test } from "vitest";
import type { Target } from "../../../lib/target/target.ts";
import type { Role } from "../../../local/postgres/admin.ts";
import type { Relay } from "../../../local/relay/relay.ts";
import { stopClock } from "../../setup/clock.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { waitFor } from "../../setup/wait-for.ts";

const first = makeMigration("0000_first", 1_000, "create table notes (id int primary key)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");

let database: TestDatabase;
let relay: Relay;
let guest: Role;
let target: Target;

/** A role that owns nothing: it may create in `public`, but no schema. */
beforeEach(async () => {
  database = await createTestDatabase();
  relay = await database.startRelay();
  guest = await database.createRole("guest");
  await database.sql(`grant usage, create on schema public to ${guest.name}`);
  target = targetOf(database.urlOf(guest), relay.address);
  return () => database.close();
});

async function rowsIn(schema: string): Promise<unknown> {
  return await database.sql(
    `select hash, created_at::text as when from ${schema}.__drizzle_migrations order by id`,
  );
}

const recorded = (...migrations: { hash: string; when: number }[]) =>
  migrations.map(({ hash, when }) => ({ hash, when: String(when) }));

describe("the fallback", () => {
  test("takes over when the role may not create the schema, with the ledger in public", async () => {
    const plan = await run(target, makeBundle(first, second), { action: "plan" });
    const fresh = await run(target, makeBundle(first, second));
    const again = await run(target, makeBundle(first, second));

    expect(plan).toMatchObject({
      executor: "statements",
      executorReason: "schema-creation-blocked",
    });
    expect(fresh).toMatchObject({
      status: "applied",
      executor: "statements",
      executorReason: "schema-creation-blocked",
      atomic: true,
      ledger: { schema: "public", table: "__drizzle_migrations", format: "0.x" },
    });
    expect(again.status).toBe("up-to-date");
    expect(await rowsIn("public")).toEqual(recorded(first, second));
  });

  test("takes over when schema and ledger exist already and only CREATE is missing", async () => {
    const owner = targetOf(database.url, relay.address);
    await run(owner, makeBundle(first));
    await database.sql(`
      grant usage on schema drizzle to ${guest.name};
      grant select, insert on drizzle.__drizzle_migrations to ${guest.name};
      grant usage on sequence drizzle.__drizzle_migrations_id_seq to ${guest.name};
      grant insert on notes to ${guest.name};
    `);

    const report = await run(target, makeBundle(first, second));

    expect(report).toMatchObject({
      status: "applied",
      executor: "statements",
      executorReason: "schema-creation-blocked",
      ledger: { schema: "drizzle" },
    });
    expect(await rowsIn("drizzle")).toEqual(recorded(first, second));
  });

  test("leaves not even a ledger behind when a statement fails in the middle", async () => {
    const bad = makeMigration("0001_bad", 2_000, "insert into notes values (1)", "select 1 / 0");

    const report = await run(target, makeBundle(first, bad));

    expect(report).toMatchObject({
      status: "failed",
      executor: "statements",
      atomic: true,
      error: { sqlstate: "22012", migration: bad.tag, statement: { index: 2 } },
    });
    const tables = await database.sql(
      "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    );
    expect(tables).toEqual([]);
  });

  test("is not taken for a right that a migration itself lacks", async () => {
    const greedy = makeMigration("0000_greedy", 1_000, "create schema greedy");
    await database.sql(`grant create on database ${database.name} to ${guest.name}`);
    await database.sql("create table public.owned (id int)");
    const foreign = makeMigration("0001_foreign", 2_000, "alter table owned add column name text");

    const report = await run(target, makeBundle(greedy, foreign));

    expect(report).toMatchObject({
      executor: "drizzle",
      executorReason: null,
      error: { code: "MIGRATION_FAILED", sqlstate: "42501", migration: foreign.tag },
    });
  });

  test("is not taken for a failure whose text says CREATE SCHEMA", async () => {
    const twice = makeMigration("0000_twice", 1_000, "create schema dup", "create schema dup");

    const report = await run(targetOf(database.url, relay.address), makeBundle(twice));

    expect(report).toMatchObject({
      executor: "drizzle",
      error: {
        code: "MIGRATION_FAILED",
        sqlstate: "42P06",
        statement: { index: 2, excerpt: "create schema dup" },
      },
    });
  });

  test("is refused to a caller who insists on Drizzle's own migrator", async () => {
    const report = await run(target, makeBundle(first), { executor: "drizzle" });

    expect(report.error).toMatchObject({ code: "EXECUTOR_UNSUITABLE", sqlstate: "42501" });
    expect(await database.sql("select to_regclass('notes') as notes")).toEqual([{ notes: null }]);
  });

  test("says which GRANTs help when no ledger can be written, and they do help", async () => {
    await database.sql(`revoke create on schema public from ${guest.name}, public`);
    const nothing = makeBundle(makeMigration("0000_nothing", 1_000, "select 1"));

    const denied = await run(target, nothing);
    const grants = denied.error?.message.split("As the owner of the database: ")[1] ?? "";
    await database.sql(grants);
    const helped = await run(target, nothing);

    expect(denied.error).toMatchObject({ code: "LEDGER_DENIED", sqlstate: "42501" });
    expect(helped).toMatchObject({ status: "applied", ledger: { schema: "drizzle" } });
  });

  test("says which GRANTs help when the ledger can be neither read nor written, and they do help", async () => {
    await run(targetOf(database.url, relay.address), makeBundle(first));

    const denied = await run(target, makeBundle(first), { action: "status" });
    const grants = denied.error?.message.split("As its owner: ")[1] ?? "";
    await database.sqlAsOwner(grants);
    const helped = await run(target, makeBundle(first));

    expect(denied.error?.code).toBe("LEDGER_DENIED");
    expect(helped.status).toBe("up-to-date");
  });
});

describe("the ledger's one home", () => {
  test("stays in public when the right to create the schema comes later", async () => {
    await run(target, makeBundle(first));
    await database.sql(`grant create on database ${database.name} to ${guest.name}`);

    const report = await run(target, makeBundle(first, second));

    expect(report).toMatchObject({
      status: "applied",
      executor: "drizzle",
      ledger: { schema: "public" },
      applied: [{ tag: second.tag }],
    });
    expect(await rowsIn("public")).toEqual(recorded(first, second));
  });

  test("is not decided, and nothing runs, when two ledgers contradict each other", async () => {
    const owner = targetOf(database.url, relay.address);
    await run(owner, makeBundle(first));
    await database.sqlAsOwner(
      "create table public.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)",
    );
    await database.sqlAsOwner(
      "insert into public.__drizzle_migrations (hash, created_at) values ($1, $2)",
      [second.hash, second.when],
    );

    const report = await run(owner, makeBundle(first, second));

    expect(report.error?.code).toBe("LEDGER_SPLIT");
    expect(await database.sql("select count(*)::int as n from notes")).toEqual([{ n: 0 }]);
  });

  test("is found where drizzle.config.ts puts it", async () => {
    const ledger = { schema: 'odd "schema"', table: "it's here" };
    const owner = targetOf(database.url, relay.address, { ledger });

    const fresh = await run(owner, makeBundle(first));
    const byStatements = await run(owner, makeBundle(first, second), { executor: "statements" });

    expect(fresh).toMatchObject({ executor: "drizzle", ledger });
    expect(byStatements).toMatchObject({ applied: [{ tag: second.tag }], ledger });
    expect(await run(owner, makeBundle(first, second))).toMatchObject({ status: "up-to-date" });
  });

  test("is not taken for a table that is no ledger", async () => {
    await database.sqlAsOwner(
      "create schema drizzle; create table drizzle.__drizzle_migrations (version text)",
    );

    const report = await run(targetOf(database.url, relay.address), makeBundle(first));

    expect(report.error?.code).toBe("LEDGER_UNKNOWN_FORMAT");
    expect(report.error?.message).toContain("id, hash, created_at");
  });
});

describe.each(["plain", "neon"] as const)(
  "a failure before the first migration, %s relay",
  (mode) => {
    beforeEach(async () => {
      relay = await database.startRelay({ mode });
      target = targetOf(database.url, relay.address);
    });

    test("is a wrong password when it is one, and never shows it", async () => {
      const wrong = {
        ...target,
        url: target.url.replace(database.owner.password, "wrong-password-1"),
      };

      const report = await run(wrong, makeBundle(first));

      expect(report).toMatchObject({ error: { code: "LOGIN_FAILED", retryable: false } });
      expect(JSON.stringify(report)).not.toContain("wrong-password-1");
    });

    test("is a missing database when it is one", async () => {
      const report = await run({ ...target, url: `${target.url}_missing` }, makeBundle(first));

      expect(report.error).toMatchObject({ code: "DATABASE_NOT_FOUND", retryable: false });
    });

    test("is a read-only session when it is one, and only where something is pending", async () => {
      await run(target, makeBundle(first));
      await database.sql(
        `alter role ${database.owner.name} set default_transaction_read_only = on`,
      );

      const pending = await run(target, makeBundle(first, second));
      const nothing = await run(target, makeBundle(first));

      expect(pending.error?.code).toBe("READ_ONLY");
      expect(nothing.status).toBe("up-to-date");
    });

    test("is an unreachable relay when it is one", async () => {
      relay.refuse(404);

      const report = await run(target, makeBundle(first));

      expect(report.error).toMatchObject({ code: "UNREACHABLE", retryable: false });
      expect(report.error?.message).toContain("404");
    });

    test("is a time-out when nobody answers, and comes in time", async () => {
      relay.silence();
      const clock = stopClock();
      let over = false;

      const running = run(target, makeBundle(first)).finally(() => {
        over = true;
      });
      await waitFor(() => relay.stats().connections === 1);
      await clock.advance(target.connectTimeoutMs - 1);
      await new Promise((resolve) => setImmediate(resolve));
      expect(over).toBe(false);
      await clock.advance(1);

      const { error } = await running;
      expect(error).toMatchObject({ code: "CONNECT_TIMEOUT", retryable: true });
    });

    test("applies once the way is free", async () => {
      const report = await run(target, makeBundle(first));

      expect(report).toMatchObject({ status: "applied", executor: "drizzle" });
    });
  },
);

describe("connecting", () => {
  test("waits for a compute that wakes slowly, and for one that is refused at first", async () => {
    const waking = await database.startRelay({ mode: "neon", wakeUpMs: 300 });
    const slow = await run(targetOf(database.url, waking.address), makeBundle(first));
    waking.failLogins("Couldn't connect to compute node");
    const before = waking.stats().connections;

    const running = run(targetOf(database.url, waking.address), makeBundle(first));
    // The first is refused by the time that a second one comes.
    await waitFor(() => waking.stats().connections >= before + 2);
    waking.failLogins(null);

    expect(slow.status).toBe("applied");
    expect((await running).status).toBe("up-to-date");
  });

  test("logs in to a server that wants to be asked for the password first", async () => {
    const scram = await database.createRole("scram", { scram: true });
    await database.sql(`grant usage, create on schema public to ${scram.name}`);

    const report = await run(targetOf(database.urlOf(scram), relay.address), makeBundle(first));

    expect(report.status).toBe("applied");
  });
});
