import { type AmendmentRequest, type Change, proposeChanges, upTo } from "./amendments.ts";
import type { Bundle, ObjectName } from "./bundle.ts";
import { tablesMadeBy } from "./compile/tables.ts";
import type { Target } from "./config.ts";
import { connect } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { MigratorError } from "./errors.ts";
import { bookkeepingFailed } from "./executors/failure.ts";
import { ledgerQuestion, readPlaces } from "./ledger.ts";
import { acquireLock } from "./lock.ts";
import type { Log } from "./log.ts";
import { SendFailure } from "./pipeline.ts";
import { openingLockQuestion, refusePooler } from "./pooler.ts";
import { quoteIdentifier } from "./quote.ts";

/** What amending a ledger needs from outside. */
export interface AmendOptions {
  readonly bundle: Bundle;
  readonly target: Target;
  readonly requestId: string;
  /** Whether to write; otherwise the changes are only shown. */
  readonly write: boolean;
  /** How long to wait for another run, in ms. */
  readonly lockTimeoutMs: number;
  readonly log: Log;
}

/** What was, or would be, written. */
export interface Amendment {
  readonly changes: readonly string[];
  readonly written: boolean;
}

/** Long enough for a waking compute, a lock that is held, and a few rows. */
const DEADLINE_MS = 300_000;

/**
 * Puts a ledger right, without running anything: shows what it would write, and writes only when told to,
 * under the migration lock, in one transaction.
 * @throws MigratorError `BASELINE_MISMATCH` where the database lacks tables that a baseline claims, and as
 *   `connect`, `acquireLock` and `proposeChanges`
 */
export async function amendLedger(
  request: AmendmentRequest,
  { bundle, target, requestId, write, lockTimeoutMs, log }: AmendOptions,
): Promise<Amendment> {
  const deadline = Date.now() + DEADLINE_MS;
  const opening = write ? [openingLockQuestion(target)] : [];
  const connection = await connect(target, { requestId, deadline, log, opening });
  try {
    if (write) {
      await refusePooler(connection);
      const locked = connection.opening[0]?.[0]?.locked === true;
      if (!locked) {
        await acquireLock(connection, target.ledger, { timeoutMs: lockTimeoutMs, deadline, log });
      }
    }
    const answers = await connection.batch(ledgerQuestion(target.ledger));
    const { role } = connection.database;
    const changes = proposeChanges(request, bundle, readPlaces(answers, role), role);
    if (request.kind === "baseline" && changes.length > 0) {
      await refuseMissingTables(connection, bundle, request.to);
    }
    const written = write && changes.length > 0;
    if (written) await writeChanges(connection, changes);
    return { changes: changes.map(({ summary }) => summary), written };
  } finally {
    await connection.close();
  }
}

/** A baseline that claims too much would leave the tables missing for ever. */
async function refuseMissingTables(
  connection: Connection,
  bundle: Bundle,
  to: string,
): Promise<void> {
  const made = await tablesMadeBy(upTo(bundle, to));
  const references = made.map(({ table }) => reference(table));
  const rows = await connection.query<{ name: string }>(
    `select name from unnest($1::text[]) as name where to_regclass(name) is null`,
    [references],
  );
  const missing = new Set(rows.map(({ name }) => name));
  const lacking = made.filter(({ table }) => missing.has(reference(table)));
  if (lacking.length === 0) return;
  const list = lacking.slice(0, 10).map(({ table, tag }) => `${reference(table)} (${tag})`);
  const more = lacking.length > 10 ? ` and ${lacking.length - 10} more` : "";
  throw new MigratorError(
    "BASELINE_MISMATCH",
    `The database lacks tables that these migrations create: ${list.join(", ")}${more}. Nothing was written. Baseline up to an earlier migration, or apply them with "neon-migrate up".`,
  );
}

function reference({ schema, name }: ObjectName): string {
  return schema === null
    ? quoteIdentifier(name)
    : `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

async function writeChanges(connection: Connection, changes: readonly Change[]): Promise<void> {
  const sendings = changes.flatMap((change) => change.sendings);
  try {
    await connection.sendAll([{ text: "begin" }, ...sendings, { text: "commit" }], () => undefined);
  } catch (thrown) {
    if (!(thrown instanceof SendFailure)) throw thrown;
    await connection.cleanUp("rollback");
    throw bookkeepingFailed(thrown.cause);
  }
}
