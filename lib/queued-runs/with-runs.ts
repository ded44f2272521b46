import { connect } from "../connection/connect.ts";
import type { Connection, Rows } from "../connection/connection.ts";
import type { Sending } from "../connection/pipeline.ts";
import { withConnection } from "../connection/with-connection.ts";
import { MigratorError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Target } from "../target/target.ts";
import { deniedRuns, explainRefusal } from "./denied.ts";
import { type RunsHome, readHomes, runsQuestion } from "./home.ts";
import type { RunRow } from "./record.ts";
import { selectRun } from "./table.ts";

/** The needs, from outside, of work on the table of runs. */
export interface RunsDependencies {
  readonly requestId: string;
  /** Epoch ms by which the work must be done. */
  readonly deadline: number;
  readonly log: Log;
}

/** A session beside those of the migrations, with the places where the table can be. */
export interface RunsSession {
  readonly connection: Connection;
  readonly homes: readonly RunsHome[];
}

/**
 * Opens a session for work on the table of runs. It waits for no migration and takes no part in their lock.
 * @throws MigratorError as `connect`
 */
export async function openRuns(
  target: Target,
  dependencies: RunsDependencies,
): Promise<RunsSession> {
  const opening = { homes: runsQuestion(target.ledger) };
  const connection = await connect(target, { ...dependencies, opening });
  return { connection, homes: readHomes(connection.opening.homes) };
}

/** Does work on a session of its own, drops it at the deadline, and closes it in any case. */
export async function withRuns<Result>(
  target: Target,
  dependencies: RunsDependencies,
  work: (session: RunsSession) => Promise<Result>,
): Promise<Result> {
  const opening = { homes: runsQuestion(target.ledger) };
  // At the deadline it is dropped at once: no migration has to be cancelled, and the call has an answer to give.
  const options = { ...dependencies, opening, reason: outOfTime(), graceMs: 1 };
  return await withConnection(target, options, async (connection) => {
    const homes = readHomes(connection.opening.homes);
    try {
      return await work({ connection, homes });
    } catch (thrown) {
      throw explainRefusal(thrown, homes, connection.database.role);
    }
  });
}

/** Sends a statement about one run to each place that has the table, until one answers with a row. */
export async function askHomes<Row extends object = Rows[number]>(
  { connection, homes }: RunsSession,
  statementFor: (home: RunsHome) => Sending,
): Promise<Row | null> {
  for (const home of homes.filter(({ exists, mayRead }) => exists && mayRead)) {
    const { text, values = [] } = statementFor(home);
    const [row] = await connection.query<Row>(text, values);
    if (row !== undefined) return row;
  }
  return null;
}

/**
 * Reads the row of a run.
 * @returns null where no table has it
 * @throws MigratorError `LEDGER_DENIED` where it may be in a table that is closed to us
 */
export async function readRun(session: RunsSession, id: string): Promise<RunRow | null> {
  const row = await askHomes<RunRow>(session, (home) => selectRun(home, id));
  const { connection, homes } = session;
  // Nothing of ours is in a table that is not believed.
  const closed = homes.filter(({ believed, mayRead }) => believed && !mayRead);
  if (row === null && closed.length > 0) throw deniedRuns(closed, connection.database.role);
  return row;
}

function outOfTime(): MigratorError {
  return new MigratorError(
    "DEADLINE",
    "The time for this call was over while it read or wrote the table of runs.",
    { retryable: true },
  );
}
