import { type Layout, type Migration, statementText } from "../../../lib/bundle/bundle.ts";
import { postgresFacts } from "../../../lib/postgres/errors.ts";
import type { Session } from "./session.ts";

/** Not in a transaction; a new enum value that is not committed; a procedure that commits. */
const NEEDS_ANOTHER_PLACE = ["25001", "55P04", "2D000"];

/** The ledger as Drizzle creates it (0.45: pg-core/dialect.js; 1.0.0-rc.5: pg-core/async/session.js). */
export async function createLedger(session: Session, layout: Layout): Promise<void> {
  const named =
    layout === "1.0" ? ", name text, applied_at timestamp with time zone DEFAULT now()" : "";
  await session.sql("create schema if not exists drizzle");
  await session.sql(
    `create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint${named})`,
  );
}

/**
 * What Drizzle documents, by trial instead of by rule: a file is one transaction, statement by statement, with
 * the ledger row at its end. What the server refuses to do there is done behind a COMMIT, on its own, and a new
 * transaction goes on. Where the file itself ends its transaction, it is left ended, as in `psql`.
 * @param session a new one: what another file has set for its session is of no concern here
 * @throws the driver's error for what the server refuses in any place
 */
export async function replay(
  session: Session,
  migration: Migration,
  layout: Layout,
): Promise<void> {
  await session.sql("begin");
  for (const statement of migration.statements) {
    const text = statementText(migration, statement);
    await (inTransaction(session) ? tryInside(session, text) : session.sql(text));
  }
  const { hash, when, tag } = migration;
  const columns = layout === "1.0" ? "hash, created_at, name" : "hash, created_at";
  const values = layout === "1.0" ? "$1, $2, $3" : "$1, $2";
  await session.sql("reset role");
  await session.sql(
    `insert into drizzle.__drizzle_migrations (${columns}) values (${values})`,
    layout === "1.0" ? [hash, when, tag] : [hash, when],
  );
  if (inTransaction(session)) await session.sql("commit");
}

async function tryInside(session: Session, text: string): Promise<void> {
  await session.sql("savepoint before_statement");
  try {
    await session.sql(text);
  } catch (thrown) {
    const sqlstate = postgresFacts(thrown)?.sqlstate ?? "";
    if (!NEEDS_ANOTHER_PLACE.includes(sqlstate)) throw thrown;
    await session.sql("rollback to savepoint before_statement");
    await session.sql("commit");
    await session.sql(text);
    await session.sql("begin");
  }
}

function inTransaction({ client }: Session): boolean {
  return client.getTransactionStatus() === "T";
}
