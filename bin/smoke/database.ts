import { randomUUID } from "node:crypto";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { Connection, DatabaseFacts } from "../../lib/connection/connection.ts";
import { withConnection } from "../../lib/connection/with-connection.ts";
import { MigratorError } from "../../lib/errors.ts";
import { silentLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate/migrate.ts";
import { quoteIdentifier } from "../../lib/postgres/names.ts";
import type { Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { DEFAULT_LEDGER, type Target } from "../../lib/target/target.ts";
import { withDatabase } from "../database.ts";
import type { Project } from "../project.ts";

/** How long one question, or the removal of the schema, may take. */
const PATIENCE_MS = 60_000;

/** Does work in one session of the command's own. */
function inSession<Result>(
  project: Project,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const message = `The database has not answered within ${PATIENCE_MS / 1_000} s. A session may hold a lock on the scratch schema.`;
  return withDatabase(project, false, async (findTarget) =>
    withConnection(
      await findTarget(),
      {
        ...{ requestId: randomUUID(), deadline: Date.now() + PATIENCE_MS, graceMs: 5_000 },
        ...{ opening: {}, log: silentLog, reason: new MigratorError("DEADLINE", message) },
      },
      work,
    ),
  );
}

/**
 * Looks whether the database answers, and lets the role make a schema.
 * @throws MigratorError `LEDGER_DENIED`, `READ_ONLY`, and as connecting
 */
export async function proveDatabase(project: Project): Promise<DatabaseFacts> {
  return await inSession(project, async (connection) => {
    const { database, readOnly } = connection;
    const [may] = await connection.query<{ readonly create: boolean }>(
      `select pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') as "create"`,
    );
    if (readOnly) {
      const message = `The database ${database.name} on ${database.host} takes no writes. Nothing was made. Name the primary's.`;
      throw new MigratorError("READ_ONLY", message);
    }
    if (may?.create !== true) throw mayNotCreate(database);
    return database;
  });
}

function mayNotCreate({ name, role }: DatabaseFacts): MigratorError {
  const [database, grantee] = [name, role].map(quoteIdentifier);
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${grantee} may not create a schema in the database ${database}, and the smoke test works in a schema of its own. Nothing was made. As the owner of the database: grant create on database ${database} to ${grantee}; Or name a secret with another role, or one of a branch of Neon's.`,
  );
}

/** Returns the names of the tables in a schema, but for the ledger's. */
export async function tablesIn(project: Project, schema: string): Promise<readonly string[]> {
  const rows = await inSession(project, (connection) =>
    connection.query<{ readonly name: string }>(
      `select relname as "name" from pg_catalog.pg_class
       where relnamespace = pg_catalog.to_regnamespace($1) and relkind = 'r' and relname not like '\\_\\_%'
       order by relname`,
      [quoteIdentifier(schema)],
    ),
  );
  return rows.map(({ name }) => name);
}

/** Asks for the state of the migrations in a folder, without the function. */
export async function statusOf(project: Project, schema: string, folder: string): Promise<Report> {
  const bundle = await compileBundle(folder);
  const ledgerAt = (target: Target) => {
    return { ...target, ledger: { ...DEFAULT_LEDGER, schema, named: true } };
  };
  return await withDatabase(project, false, (findTarget) =>
    migrate(parseRequest({ action: "status" }), {
      ...{ bundle, requestId: randomUUID(), deadline: Date.now() + PATIENCE_MS, log: silentLog },
      target: async () => ledgerAt(await findTarget()),
    }),
  );
}

/** Removes a schema with all that is in it, if it is there. */
export async function dropSchema(project: Project, schema: string): Promise<void> {
  await inSession(project, (connection) =>
    connection.query(`drop schema if exists ${quoteIdentifier(schema)} cascade`),
  );
}
