import { describe, expect } from "vitest";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

async function setUp(database: TestDatabase): Promise<void> {
  await database.sqlAsOwner(`
    create table accounts (id int primary key, email text);
    insert into accounts values (1, 'a');
    create index accounts_email on accounts (email);
    create table visits (id int) partition by range (id);
    create table visits_old partition of visits for values from (0) to (9);
    create materialized view totals as select count(*) from accounts;
    create unique index on totals (count);
  `);
}

const waits = async (database: TestDatabase) => {
  const rows = await database.sql(
    `select from pg_stat_activity where datname = current_database()
     and application_name like 'neon-migrate/%' and wait_event_type = 'Lock'`,
  );
  return rows.length > 0;
};

const DETACH = "alter table visits detach partition visits_old concurrently";

/** Half a detaching: the partition stays "detach pending". */
async function detachHalf(database: TestDatabase): Promise<void> {
  const reader = await database.hold("select from visits");
  const role = database.owner.name;
  await database.sql(`alter role ${role} set lock_timeout = '50ms'`);
  await expect(database.sqlAsOwner(DETACH)).rejects.toThrow("lock timeout");
  await database.sql(`alter role ${role} reset lock_timeout`);
  await reader.release();
}

const WRITE = "update accounts set email = email";

/** The statement of a migration, the transaction that stands in its way, and the table of the reader behind it. */
const STATEMENTS: readonly (readonly [
  string,
  string,
  string,
  ((database: TestDatabase) => Promise<void>)?,
])[] = [
  [DETACH, "select from visits_old", "visits_old"],
  [DETACH, "select from visits", "visits_old"],
  [DETACH, "select from visits_old", "visits_old", detachHalf],
  ["drop index concurrently accounts_email", WRITE, "accounts"],
  ["create index concurrently on accounts (email)", WRITE, "accounts"],
  ["reindex index concurrently accounts_email", WRITE, "accounts"],
  ["reindex table concurrently accounts", WRITE, "accounts"],
  ["vacuum full accounts", "select from accounts", "accounts"],
  ["vacuum (freeze) accounts", "lock table accounts in share update exclusive mode", "accounts"],
  ["alter table accounts add column name text", "select from accounts", "accounts"],
  ["create index on accounts (email)", WRITE, "accounts"],
  ["refresh materialized view totals", "select from totals", "totals"],
];

describe("whoever reads beside a statement that waits gets through while it still waits", () => {
  test.for(STATEMENTS)(
    "%s, behind %s",
    async ([statement, held, table, prepare], { database, target }) => {
      await setUp(database);
      await prepare?.(database);
      const holder = await database.hold(held);
      const running = run(target, makeBundle(makeMigration("0000_change", 1_000, statement)), {
        ddlLockTimeoutMs: 200,
      });
      await waitFor(() => waits(database));

      // The holder lets nobody through: a reader that comes back was let through by the run itself.
      for (let reads = 0; reads < 5; reads += 1) {
        let read = false;
        const reading = database.sqlAsOwner(`select from ${table}`).then(() => {
          read = true;
        });
        reading.catch(() => undefined);
        await waitFor(() => read);
      }
      await holder.release();

      expect(await running).toMatchObject({ status: "applied" });
    },
  );
});
