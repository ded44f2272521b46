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
    const told = `create table t (); do $$ begin raise 'at ${url} or PASSWORD ''${password}'''; end $$`;
    const bundle = makeBundle(
      makeMigration(
        "0000_drizzle_public",
        1_000,
        ...told.split("; do").map((each, index) => (index === 0 ? each : `do${each}`)),
      ),
    );

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
