import { type Effect, type Migration, statementText } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import { endsSession } from "../connection/errors.ts";
import { MigratorError, STOPS, toError, type Warning } from "../errors.ts";
import { type Before, interruptedStatement } from "../ledger/checkpoints.ts";
import { postgresFacts } from "../postgres/errors.ts";
import { quoteName } from "../postgres/names.ts";
import { setsLockTimeout } from "./session-reset.ts";
import { type Alone, leftInvalid, recordBefore, settle, type Unsettled } from "./settle.ts";
import { migrationFailed } from "./statement-errors.ts";

interface Ran {
  readonly warnings: readonly Warning[];
  readonly durationMs: number;
}

/**
 * Runs a statement that stands alone. It is done when the server says so, and not done when the server refuses it. It is
 * in doubt when the session was lost meanwhile: then the catalog says whether it happened. A statement that may have
 * committed something before it was refused is in doubt too, and is never sent again by itself.
 * @throws MigratorError `MIGRATION_FAILED`, or `STEP_IN_DOUBT` where nobody but a person can tell
 */
export async function runAlone(alone: Alone): Promise<Ran> {
  const { connection, migration, index, checkpoint, lockTimeoutMs } = alone;
  const statement = migration.statements[index];
  if (statement === undefined) throw new Error(`${migration.tag} has no statement ${index}.`);
  const started = performance.now();
  const warnings: Warning[] = [];
  const wasBegun = interruptedStatement(migration, checkpoint) === index;
  const interrupted = wasBegun ? (checkpoint?.before ?? {}) : null;
  const effect = effectOf(statement.effect, statement.kind);
  const mayWait = UNHURRIED.includes(effect.kind) || setsLockTimeout(migration, index);
  const asIs = mayWait && statement.directives?.lockTimeoutMs === undefined;
  const boundMs = asIs ? null : lockTimeoutMs;
  const unsettled = { alone, statement, effect, interrupted, boundMs, seen: { table: null } };
  connection.turnTo({ migration: migration.tag, index });
  try {
    const outcome = await settle(unsettled, warnings);
    if (outcome === "run") await send(unsettled, statementText(migration, statement));
    else if (outcome !== "done") await send(unsettled, outcome.finish);
    if (outcome !== "run" && wasBegun) warnings.push(foundDone(alone));
  } catch (thrown) {
    throw migrationFailed(thrown, migration, index);
  } finally {
    connection.turnTo(null);
  }
  return { warnings, durationMs: performance.now() - started };
}

/** Fills in the effect of a statement that only the server knew to stand alone: the bundle records none. */
function effectOf(effect: Effect | null, kind: string): Effect {
  return effect ?? { kind: kind === "ReindexStmt" ? "repeatable" : "unknown" };
}

/** Effects of statements that nobody queues behind while they wait. They may take their time. */
const UNHURRIED: readonly Effect["kind"][] = ["builds-index", "drops-indexes", "rebuilds-indexes"];

/**
 * Announces the statement and sends it. Any but the unhurried gets the same bounded wait as a transaction. A directive
 * of its own bounds any statement.
 */
async function send(unsettled: Unsettled, text: string): Promise<void> {
  const { alone, boundMs } = unsettled;
  const { connection, index } = alone;
  const before = await recordBefore(unsettled);
  await alone.record(index, before);
  if (boundMs === null) {
    await sendAsIs(unsettled, text, before);
    return;
  }
  await connection.query(`set lock_timeout = ${boundMs}`);
  try {
    await sendAsIs(unsettled, text, before);
  } finally {
    await connection.cleanUp("reset lock_timeout").catch(() => undefined);
  }
}

async function sendAsIs(unsettled: Unsettled, text: string, before: Before | null): Promise<void> {
  const { alone, effect } = unsettled;
  const { connection, migration, index } = alone;
  const number = effect.kind === "unknown" ? await transactionNumber(connection) : null;
  // The record before it was at another place.
  const place = { migration: migration.tag, index };
  connection.turnTo(place);
  try {
    const send = async () => {
      await connection.query(text);
    };
    const run = () => alone.lockouts.alone(migration, index, send);
    await (connection.observer?.alone(connection, place, run) ?? run());
  } catch (thrown) {
    if (!isRefusal(thrown)) throw thrown;
    // A deadline has stopped the statement, but not yet the record of how it ended.
    throw await connection.lastWords(() => refused(unsettled, before, thrown, number));
  }
}

/** Whether the server has refused the statement, or cancelled it, on a session that lives. */
function isRefusal(thrown: unknown): boolean {
  const server = postgresFacts(thrown);
  const lost = thrown instanceof MigratorError && thrown.code === "CONNECTION_LOST";
  return server !== null && !lost && !endsSession(server);
}

/** The number of transactions between two questions for the number when the statement had only its own. */
const ITS_OWN = 2;

/** Returns the number of the session's present transaction. PostgreSQL counts them for each session. */
async function transactionNumber(connection: Connection): Promise<number> {
  const [row] = await connection.query<{ number: string }>(
    `select pg_catalog.split_part(virtualtransaction, '/', 2) as "number" from pg_catalog.pg_locks
     where locktype operator(pg_catalog.=) 'virtualxid' and pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()`,
  );
  return Number(row?.number);
}

/**
 * Records that the server has refused the statement, with what it has left behind. Returns the error to report, also
 * where the record cannot be written.
 * @param number of the transaction before the statement; null for a statement that commits nothing on its way
 */
async function refused(
  { alone, effect }: Unsettled,
  before: Before | null,
  refusal: unknown,
  number: number | null,
): Promise<unknown> {
  const { connection, migration, index } = alone;
  const error = toError(migrationFailed(refusal, migration, index));
  if (!(error instanceof MigratorError)) return error;
  try {
    if (number !== null && (await transactionNumber(connection)) - number !== ITS_OWN) {
      return mayHaveCommitted(error, migration);
    }
    const left = await leftInvalid(connection, effect, before);
    await alone.record(null, left.length === 0 ? null : { left: left.map(({ id }) => id) });
    return left.length === 0 ? error : more(error, leftSentence(left));
  } catch (thrown) {
    if (effect.kind !== "unknown") return error;
    return more(
      error,
      `That it was begun could not be taken back (${toError(thrown).message}), so the next run may be in doubt of it: "neon-migrate repair --resolve ${migration.tag} --as undone".`,
    );
  }
}

/** The error keeps its code where the time was over: then that is the reason why the statement was stopped. */
function mayHaveCommitted(error: MigratorError, { tag }: Migration): MigratorError {
  return more(
    error,
    `The statement may have committed a part of its work before, so it is not sent again by itself. Look, and then say so: "neon-migrate repair --resolve ${tag} --as done" or "--as undone".`,
    STOPS.includes(error.code) ? error.code : "STEP_IN_DOUBT",
  );
}

function leftSentence(left: readonly { readonly schema: string; readonly name: string }[]): string {
  const names = left.map(quoteName).join(", ");
  const [what, it] = left.length === 1 ? ["an INVALID index", "it"] : ["INVALID indexes", "them"];
  return `It left ${what} behind: ${names}. No query uses ${it}, and each write to the table still has to update ${it}. The next run drops ${it}.`;
}

function more(error: MigratorError, sentence: string, code = error.code): MigratorError {
  return new MigratorError(code, `${error.message} ${sentence}`, error.facts);
}

function foundDone({ migration, index }: Alone): Warning {
  return {
    code: "STEP_FOUND_DONE",
    message: `An earlier run was cut off in statement ${index + 1} of ${migration.tag}; the database shows that it had been done, and it was not repeated.`,
  };
}
