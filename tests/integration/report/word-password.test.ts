import { expect } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

test.for(["drizzle", "public", "create", "migration"])(
  "a report of a run whose password is %s says everything but the password",
  async (password, { database, target }) => {
    const role = await database.createRole("worded", { password });
    await database.sql(`grant create on database ${database.name} to ${role.name}`);
    const url = database.urlOf(role);
    const told = `do $$ begin raise 'at ${url} or PASSWORD ''${password}'''; end $$`;
    const migration = makeMigration("0000_drizzle_public", 1_000, "create table t ()", told);
    const bundle = makeBundle(migration);

    const report = await run({ ...target, url }, bundle);

    expect(report).toMatchObject({
      ledger: { schema: "drizzle", table: "__drizzle_migrations" },
      error: { code: "MIGRATION_FAILED", migration: "0000_drizzle_public" },
    });
    const { message, statement } = report.error ?? { message: "", statement: null };
    expect(message).toContain("Migration 0000_drizzle_public");
    expect(`${message}${statement?.excerpt}`).not.toContain(`:${password}@`);
    expect(`${message}${statement?.excerpt}`).not.toMatch(new RegExp(`'${password}'`));
  },
);
