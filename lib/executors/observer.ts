import { chunksOf, type Migration } from "../bundle.ts";
import type { Connection } from "../connection.ts";
import { isPrivilegeError } from "../ledger-home.ts";
import { type AppliedMigration, describeApplied } from "../report.ts";
import { BootstrapRefused } from "./executor.ts";
import { bookkeepingFailed, chunkOffsets, commitFailed, migrationFailed } from "./failure.ts";

/** What stands between Drizzle's session and the client. */
export interface Observer {
  /** The client to give to Drizzle's session. */
  readonly client: Connection["client"];
  /** The first thing that went wrong, as what it was; null if nothing did. */
  firstFailure(): unknown;
  /** The migrations whose ledger row was written. */
  applied(): readonly AppliedMigration[];
}

/** One thing that the migrator sends between its `begin` and its `commit`. */
type Send =
  | {
      readonly kind: "chunk";
      readonly migration: Migration;
      readonly chunk: number;
      readonly text: string;
    }
  | { readonly kind: "ledger-row"; readonly migration: Migration };

type Forward = () => Promise<unknown>;

/**
 * Follows Drizzle's migrator statement by statement: `CREATE SCHEMA`, `CREATE TABLE`, `select`, `begin`,
 * then for each migration its chunks and its ledger row, then `commit`. So an error is told apart by
 * where it happened, a failing `rollback` cannot hide the first error, and a migration that the migrator
 * would pass over in silence is noticed before anything is committed.
 */
export function observeMigrator(
  connection: Connection,
  migrations: readonly Migration[],
): Observer {
  const sends = migrations.flatMap(sendsOf);
  const applied: AppliedMigration[] = [];
  let begun = false;
  let position = 0;
  let startedAt = 0;
  let failure: unknown = null;

  async function bookkeeping(text: string, forward: Forward): Promise<unknown> {
    try {
      const result = await forward();
      begun = text.trim().startsWith("begin");
      return result;
    } catch (thrown) {
      const explained = connection.explain(thrown);
      throw isPrivilegeError(explained)
        ? new BootstrapRefused(thrown)
        : bookkeepingFailed(explained);
    }
  }

  async function chunk(
    send: Send & { kind: "chunk" },
    text: string,
    forward: Forward,
  ): Promise<unknown> {
    if (text !== send.text) throw surprise(text);
    if (send.chunk === 0) startedAt = performance.now();
    connection.attributeNotices(send.migration.tag);
    const completedBefore = connection.completedStatements();
    try {
      return await forward();
    } catch (thrown) {
      const inChunk = connection.completedStatements() - completedBefore;
      throw migrationFailed(connection.explain(thrown), {
        migration: send.migration,
        statement: statementOf(send, inChunk),
        sentFrom: chunkOffsets(send.migration)[send.chunk] ?? 0,
      });
    } finally {
      connection.attributeNotices(null);
    }
  }

  async function ledgerRow(migration: Migration, forward: Forward): Promise<unknown> {
    try {
      const result = await forward();
      applied.push(describeApplied(migration, Math.round(performance.now() - startedAt)));
      return result;
    } catch (thrown) {
      throw bookkeepingFailed(connection.explain(thrown));
    }
  }

  async function commit(text: string, forward: Forward): Promise<unknown> {
    if (text !== "commit") throw surprise(text);
    try {
      return await forward();
    } catch (thrown) {
      throw commitFailed(connection.explain(thrown), migrations);
    }
  }

  async function observe(text: string, forward: Forward): Promise<unknown> {
    connection.assertLive();
    if (!begun) return await bookkeeping(text, forward);
    const send = sends[position];
    position += 1;
    if (send === undefined) return await commit(text, forward);
    if (send.kind === "ledger-row") return await ledgerRow(send.migration, forward);
    return await chunk(send, text, forward);
  }

  async function query(config: { readonly text: string }, values?: unknown[]): Promise<unknown> {
    const forward = () => connection.client.query(config, values);
    if (failure !== null) return await forward();
    try {
      return await observe(config.text, forward);
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    }
  }

  // Drizzle's session calls nothing but `query` on a client that is no Pool (neon-serverless/session).
  const client = { query } as unknown as Connection["client"];
  return { client, firstFailure: () => failure, applied: () => applied };
}

function sendsOf(migration: Migration): readonly Send[] {
  const chunks = chunksOf(migration).map((text, chunk): Send => {
    return { kind: "chunk", migration, chunk, text };
  });
  return [...chunks, { kind: "ledger-row", migration }];
}

/** Index of the statement that is the nth, from 0, of a chunk; null when the chunk has no such statement. */
function statementOf(send: Send & { kind: "chunk" }, nth: number): number | null {
  const { statements } = send.migration;
  const first = statements.findIndex(({ chunk }) => chunk === send.chunk);
  return statements[first + nth]?.chunk === send.chunk ? first + nth : null;
}

function surprise(text: string): Error {
  return new Error(`Drizzle's migrator did not send what was pending, but: ${text.slice(0, 80)}`);
}
