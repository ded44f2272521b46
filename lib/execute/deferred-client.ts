import { chunksOf, type Migration } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import type { HistoryKeeper } from "../history/keeper.ts";
import { isPrivilegeError } from "../ledger/denied.ts";
import {
  closingGuard,
  type Guarded,
  type Known,
  ledgerChanged,
  openingGuard,
} from "../ledger/guard.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { explainLedgerError } from "../ledger/refused.ts";
import { type AppliedMigration, BootstrapRefused, describeApplied } from "./executor.ts";
import type { Lockouts } from "./lockouts.ts";
import { constraintsParts, releaseParts, sessionResetParts } from "./session-reset.ts";
import { bookkeepingFailed } from "./statement-errors.ts";
import {
  beginParts,
  guardParts,
  historyParts,
  type Part,
  RUN_DEFERRED,
  recordedIn,
  rehearsedParts,
  sendTransaction,
  statementParts,
  withHistory,
} from "./transaction.ts";

/** The client that Drizzle's session gets in place of the pinned one, with its outcome. */
export interface DeferringClient {
  readonly client: Connection["client"];
  /** The first error, before Drizzle could wrap it; null without one. */
  firstFailure(): unknown;
  /** The migrations that were committed. */
  applied(): readonly AppliedMigration[];
}

/** One text that the migrator must send between its `begin` and its `commit`. */
interface Expected {
  readonly migration: Migration;
  /** The chunk's text; null for the ledger row, whose text is Drizzle's own. */
  readonly chunk: string | null;
}

/** The needs of a deferred transaction. */
export interface Deferral {
  readonly connection: Connection;
  /** The migrations that the migrator must apply. */
  readonly migrations: readonly Migration[];
  readonly lockTimeoutMs: number;
  readonly ledger: Ledger;
  /** The content of the ledger before this transaction. */
  readonly known: Known;
  readonly keeper: HistoryKeeper;
  readonly lockouts: Lockouts;
}

/** A query, as Drizzle's session gives it to a client. */
interface Query {
  readonly text: string;
}

const NO_ROWS = { rows: [], rowCount: 0 };

/**
 * Drizzle decides and we send, because Drizzle's migrator waits for the answer to every statement, and each wait
 * costs a round trip. This client holds back everything between the migrator's `begin` and its `commit`, and sends it
 * in one go at `commit`. The statements that prepare the ledger before that travel in one go, too.
 *
 * The client knows the texts that the migrator must send: for each migration its chunks and its ledger row. So it
 * notices, before anything is sent, a migration that the migrator would pass over in silence. It tells errors apart
 * by the place where they came. A `rollback` that fails cannot hide the first error.
 */
export function deferTransaction(deferral: Deferral): DeferringClient {
  const { connection, migrations, lockTimeoutMs, ledger, known, keeper, lockouts } = deferral;
  const expected = migrations.flatMap(expectedOf);
  const guarded = guardedBy(ledger);
  const begin: Part[] = [];
  const parts: Part[] = [];
  const creations: string[] = [];
  let applied: readonly AppliedMigration[] = [];
  let failure: unknown = null;
  let deferring = false;

  async function bookkeep(query: Query, values: unknown[]): Promise<unknown> {
    if (query.text.trim() === "begin" && creations.length === 0) {
      deferring = true;
      begin.push(...beginParts(query.text, lockTimeoutMs));
      return NO_ROWS;
    }
    // The migrator ignores the answers to these statements. They travel along with its question for the newest row.
    if (/^\s*create\b/i.test(query.text)) {
      creations.push(query.text);
      return NO_ROWS;
    }
    return await ask({ ...query, text: [...creations.splice(0), query.text].join(";\n") }, values);
  }

  async function ask(query: Query, values: unknown[]): Promise<unknown> {
    connection.assertLive();
    try {
      // For several statements the driver answers with a list, which its types do not know.
      const results: unknown = await connection.client.query(query, values);
      return Array.isArray(results) ? results.at(-1) : results;
    } catch (thrown) {
      const explained = connection.explain(thrown);
      throw isPrivilegeError(explained)
        ? new BootstrapRefused(thrown)
        : bookkeepingFailed(explained);
    }
  }

  async function defer(query: Query, values: unknown[]): Promise<unknown> {
    const next = expected.shift();
    if (next === undefined) {
      if (query.text !== "commit") throw surprise(ledger, query);
      const durationsMs = await withHistory(parts, { keeper, place: ledger.place }, (all) =>
        sendGuarded(all, { kind: "commit", text: query.text }),
      );
      applied = Array.from(durationsMs, ([migration, ms]) =>
        describeApplied(migration, Math.round(ms)),
      );
    } else if (next.chunk === null) {
      const { migration } = next;
      const row = { text: query.text, values: values.map(String) };
      parts.push(
        ...statementParts(migration, lockTimeoutMs),
        ...releaseParts(migration, Array.from(migration.statements.keys())),
        ...(expected.length > 0 ? constraintsParts(migration) : [RUN_DEFERRED]),
        ...sessionResetParts(migration, lockTimeoutMs, connection.ownSettings),
        { kind: "ledger-row", migration, ...row },
        ...historyParts(keeper.entry(ledger.place, { migration, executor: "drizzle" })),
      );
    } else if (query.text !== next.chunk) {
      throw surprise(ledger, query);
    }
    return NO_ROWS;
  }

  async function sendGuarded(
    within: readonly Part[],
    commit: Part,
  ): Promise<ReadonlyMap<Migration, number>> {
    const written = recordedIn(within);
    const { role } = connection.database;
    const reading = lockouts.read(within);
    const closing = guardParts(closingGuard(guarded, known, written));
    const all: readonly Part[] = [
      ...begin,
      ...guardParts(openingGuard(guarded, known)),
      ...(reading.first === null ? [] : rehearsedParts(within, closing)),
      ...within,
      ...closing,
      commit,
    ];
    return await sendTransaction(connection, all, {
      explainLedger: (thrown, kind) =>
        explainLedgerError(thrown, { ledger, role, kind, place: ledger.place, written }),
      watched: lockouts.watch(all, reading),
    });
  }

  async function query(sent: Query, values: unknown[] = []): Promise<unknown> {
    // The transaction is rolled back already: the migrator's own rollback has nothing left to do.
    if (failure !== null) return NO_ROWS;
    try {
      return await (deferring ? defer(sent, values) : bookkeep(sent, values));
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    }
  }

  // On a client that is not a Pool, Drizzle's session calls nothing but `query` (neon-serverless/session).
  const client = { query } as unknown as Connection["client"];
  return { client, firstFailure: () => failure, applied: () => applied };
}

/** The migrator itself has created a ledger that the plan did not find: as its owner our role may lock it. */
function guardedBy({ place, homes }: Ledger): Guarded {
  const home = homes.find(({ schema }) => schema === place.schema);
  const mayLock = home?.tableExists !== true || home.mayLock;
  return { place, places: homes, mayLock, checkpointsExist: home?.checkpointsExist === true };
}

function expectedOf(migration: Migration): readonly Expected[] {
  const chunks = chunksOf(migration).map((chunk) => ({ migration, chunk }));
  return [...chunks, { migration, chunk: null }];
}

/** The migrator reads the ledger itself. It sends what the plan expects, unless somebody has written a row meanwhile. */
function surprise({ place }: Ledger, { text }: Query): Error {
  const cause = new Error(
    `Drizzle's migrator did not send what was pending, but: ${text.slice(0, 80)}`,
  );
  return ledgerChanged(place, { cause });
}
