import type { TestContext } from "vitest";
import type { Report } from "../../lib/report/report.ts";
import { locksIn } from "./advisory-locks.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type AuthoredMigration, type Deployment, prepareDeployment } from "./deployment.ts";
import { expectReport } from "./report-schema.ts";
import { waitFor } from "./wait-for.ts";

/** A database of a test's own, with a deployed function in front of it. */
export interface Scene {
  readonly database: TestDatabase;
  readonly deployment: Deployment;
  /** Deploys these migrations and calls the function, with default settings. */
  up(migrations: readonly AuthoredMigration[], request?: object): Promise<Report>;
  /** Calls the function once more, as it is deployed. */
  again(request?: object): Promise<Report>;
  /** Reads everything that a run may leave. */
  left(): Promise<Left>;
}

/** The content of the database when no run is under way. */
export interface Left {
  /** Columns of the application's tables, by table. */
  readonly tables: Readonly<Record<string, string>>;
  /** Indexes that belong to no constraint. Those that are INVALID say so. */
  readonly indexes: readonly string[];
  /** The journal's times in the ledger. */
  readonly ledger: readonly number[];
  readonly checkpoints: number;
  readonly advisoryLocks: number;
  /** Sessions of runs that are still there. */
  readonly sessions: number;
}

/** Sets a scene. It is removed at the end of the context's test. */
export async function setScene({
  onTestFinished,
}: Pick<TestContext, "onTestFinished">): Promise<Scene> {
  const database = await createTestDatabase();
  const environment = await database.functionEnvironment();
  const deployment = prepareDeployment(environment);
  onTestFinished(async () => {
    await deployment.remove();
    await database.close();
  });
  const again = (request: object = {}) => call(deployment, request);
  return {
    database,
    deployment,
    again,
    up: async (migrations, request) => {
      await deployment.deploy(...migrations);
      return await again(request);
    },
    left: () => lookAt(database),
  };
}

let calls = 0;

/** Calls a deployed function. @throws Error for an answer that is no report */
export async function call(deployment: Deployment, request: object = {}): Promise<Report> {
  calls += 1;
  const event = { ...request, onFailure: "return" };
  const { payload } = await deployment.deliver({ requestId: `call-${calls}`, event });
  return expectReport(payload);
}

/** Returns the outcome of a run in one word. */
export function outcome({ status, error }: Report): string {
  return error?.code ?? status;
}

/** Waits until a run waits for another session's lock in a statement like this. */
export async function untilBlocked(database: TestDatabase, statement: string): Promise<void> {
  await waitFor(async () => {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database()
       and application_name like 'neon-migrate/%' and wait_event_type = 'Lock' and query like $1`,
      [`%${statement}%`],
    );
    return rows.length > 0;
  });
}

/** Waits until a run waits for the migration lock: it has asked in vain, and asks again and again. */
export async function untilQueued(database: TestDatabase): Promise<void> {
  await waitFor(async () => {
    // Its first question is another one, and it looks for a pooler before it waits.
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database() and state = 'idle'
       and application_name like 'neon-migrate/%' and query like '%pg_try_advisory_lock%true as "lasting"%'`,
    );
    return rows.length > 0;
  });
}

const OURS = `n.nspname not in ('pg_catalog', 'information_schema', 'drizzle') and n.nspname not like 'pg_toast%'`;

async function lookAt(database: TestDatabase): Promise<Left> {
  await untilNobodyIsLeft(database);
  const tables = await database.sql(
    `select c.relname as name, string_agg(a.attname, ' ' order by a.attnum) as columns
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relkind = 'r' and ${OURS} group by 1 order by 1`,
  );
  const indexes = await database.sql(
    `select c.relname || case when i.indisvalid then '' else ' INVALID' end as name
     from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
     where ${OURS} and not i.indisprimary order by 1`,
  );
  return {
    tables: Object.fromEntries(tables.map(({ name, columns }) => [name, columns ?? ""])),
    indexes: indexes.map(({ name }) => String(name)),
    ledger: await ledgerOf(database),
    checkpoints: await countOf(database, "drizzle.__drizzle_migrations_checkpoints"),
    advisoryLocks: await locksIn(database),
    sessions: (await sessionsIn(database)).length,
  };
}

async function ledgerOf(database: TestDatabase): Promise<readonly number[]> {
  const ledger = "drizzle.__drizzle_migrations";
  if (!(await exists(database, ledger))) return [];
  const rows = await database.sql(`select created_at::int as "when" from ${ledger} order by id`);
  return rows.map(({ when }) => Number(when));
}

async function countOf(database: TestDatabase, table: string): Promise<number> {
  if (!(await exists(database, table))) return 0;
  const [row] = await database.sql(`select count(*)::int as n from ${table}`);
  return Number(row?.n);
}

async function exists(database: TestDatabase, table: string): Promise<boolean> {
  const [row] = await database.sql("select to_regclass($1) is not null as there", [table]);
  return row?.there === true;
}

const sessionsIn = (database: TestDatabase) =>
  database.sql(
    "select from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate/%'",
  );

/** Waits until no run is connected: a session ends a moment after the answer of its run. */
export async function untilNobodyIsLeft(database: TestDatabase): Promise<void> {
  await waitFor(async () => (await sessionsIn(database)).length === 0);
}
