import { Client } from "pg";
import { inject } from "vitest";
import type { Connection, SessionObserver } from "../../lib/connection/connection.ts";
import { withConnection } from "../../lib/connection/with-connection.ts";
import { MigratorError } from "../../lib/errors.ts";
import { silentLog } from "../../lib/log.ts";
import { Observer } from "../../lib/rehearsal/observe.ts";
import {
  FACTS_QUESTION,
  RELATIONS_QUESTION,
  type Relations,
  readFacts,
  readRelations,
} from "../../lib/rehearsal/relations.ts";
import { DEFAULT_LEDGER, type Target } from "../../lib/target/target.ts";
import { databaseUrl } from "../../local/postgres/admin.ts";

/** A database as it was before an observer. */
export interface Before {
  readonly relations: Relations;
  /** Makes an observer that knows it. */
  observer(): Observer;
}

/** Looks at a database, for the observers of what comes then. @param name the database's */
export async function lookBefore(name: string): Promise<Before> {
  const client = new Client({ connectionString: databaseUrl(inject("postgresUrl"), name) });
  await client.connect();
  try {
    const { rows } = await client.query(RELATIONS_QUESTION);
    const { rows: facts } = await client.query(FACTS_QUESTION);
    const relations = readRelations(rows, DEFAULT_LEDGER);
    return { relations, observer: () => new Observer(relations, readFacts(facts)) };
  } finally {
    await client.end();
  }
}

/** Opens the product's own session, which an observer watches, for some work. */
export async function watched<Result>(
  target: Target,
  observer: SessionObserver,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const options = {
    ...{ requestId: "watched", deadline: Date.now() + 280_000, log: silentLog, opening: {} },
    ...{ reason: new MigratorError("DEADLINE", "The test took too long."), graceMs: 1_000 },
    observer,
  };
  return await withConnection(target, options, work);
}
