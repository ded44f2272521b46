import { expect } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const PASSWORD = "q7Rv-2mXw-9Kd4";

/** The length of what is kept of PostgreSQL's texts, and of a statement. */
const [OF_POSTGRESQL, OF_STATEMENT] = [100_000, 499];

test.for<[string, (before: string) => string, number]>([
  [
    "PostgreSQL's message",
    (before) => `do $$ begin raise '%', ${before} || '${PASSWORD}'; end $$`,
    OF_POSTGRESQL,
  ],
  [
    "PostgreSQL's detail",
    (before) =>
      `do $$ begin raise 'no' using detail = ${before} || 'postgres://u:${PASSWORD}@h'; end $$`,
    OF_POSTGRESQL - "postgres://u:".length,
  ],
  [
    "PostgreSQL's hint",
    (before) => `do $$ begin raise 'no' using hint = ${before} || '${PASSWORD} x'; end $$`,
    OF_POSTGRESQL,
  ],
])(
  "no part of a password is left where the cut of %s goes through it",
  async (given, { database, target }) => {
    const [, write, length] = given;
    const role = await database.createRole("cut", { password: PASSWORD });
    await database.sql(`grant create on database ${database.name} to ${role.name}`);
    const url = database.urlOf(role);

    for (const seen of [4, 9, PASSWORD.length - 1]) {
      const sql = write(`repeat('.', ${length - seen - 1}) || ' '`);
      const report = await run(
        { ...target, url },
        makeBundle(makeMigration("0000_cut", 1_000, sql)),
      );

      const texts = JSON.stringify({ ...report.error, statement: null });
      expect(texts).toContain("[redacted]");
      expect(texts).not.toContain(PASSWORD.slice(0, 4));
    }
  },
);

test("no part of a password is left where the excerpt of a statement ends in it", async ({
  database,
  target,
}) => {
  const role = await database.createRole("cut", { password: PASSWORD });
  await database.sql(`grant create on database ${database.name} to ${role.name}`);
  const url = database.urlOf(role);
  const head = "select 1 / 0, '";

  for (const seen of [4, 9, PASSWORD.length - 1]) {
    const sql = `${head}${" ".repeat(OF_STATEMENT - seen - head.length)}${PASSWORD}'`;
    const report = await run({ ...target, url }, makeBundle(makeMigration("0000_cut", 1_000, sql)));

    expect(report.error?.statement?.excerpt).toMatch(/ \[redacted\]…$/);
  }
});
