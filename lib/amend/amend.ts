/*
 * Amendments: changes to the ledger alone. A request of the command line comes in (baseline, repair, merge), and the rows
 * that were written, or would be, go out. Nothing here runs a migration, or touches anything but the ledger and its
 * checkpoints.
 */

import type { Bundle } from "../bundle/bundle.ts";
import type { Connection, DatabaseFacts } from "../connection/connection.ts";
import type { Sending } from "../connection/pipeline.ts";
import { withConnection } from "../connection/with-connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { OnWait } from "../execute/blockers.ts";
import { retryOnContention } from "../execute/contention.ts";
import { beginParts, type Part, RUN_DEFERRED, sendTransaction } from "../execute/transaction.ts";
import { deniedAmendment, isPrivilegeError, readOnly } from "../ledger/denied.ts";
import { elsewhereQuestion, readElsewhere } from "../ledger/elsewhere.ts";
import type { LedgerFacts } from "../ledger/ledger.ts";
import { acquireLock, readLockAnswer } from "../ledger/lock.ts";
import { openingLockQuestion, refusePooler } from "../ledger/pooler.ts";
import { askForLedger } from "../ledger/question.ts";
import { readPlaces } from "../ledger/read.ts";
import type { Log } from "../log.ts";
import type { Target } from "../target/target.ts";
import { checkBaseline } from "./baseline.ts";
import {
  type AmendmentRequest,
  type Change,
  missingChanges,
  type Proposal,
  upTo,
} from "./changes.ts";
import { proposeChanges } from "./propose.ts";

/** The needs of an amendment from outside. */
export interface AmendOptions {
  readonly bundle: Bundle;
  readonly target: Target;
  readonly requestId: string;
  /** Whether to write the changes, or only to show them. */
  readonly write: boolean;
  /** How long to wait for another run, in ms. */
  readonly lockTimeoutMs: number;
  readonly log: Log;
  readonly onWait?: OnWait;
}

/** The changes that were written, or would be. */
export interface Amendment {
  readonly schemaVersion: 1;
  readonly requestId: string;
  /** Empty where everything is as it should be. */
  readonly changes: readonly AmendedRow[];
  /** Whether anything was written; false also where there are no changes. */
  readonly written: boolean;
  readonly database: DatabaseFacts;
  /** The ledger that counts once the changes are written. */
  readonly ledger: LedgerFacts;
  /**
   * `baseline` with changes: the tables of its migrations that the database has. Their names alone were compared, and nothing
   * else of the database was.
   */
  readonly foundTables?: readonly string[];
  readonly warnings: readonly Warning[];
}

/** One change, as a person reads it. */
export interface AmendedRow {
  /** Tag of the migration that it is about; null where it is about no migration of the folder. */
  readonly migration: string | null;
  readonly summary: string;
}

/** The time for connecting, reading and writing, beside the wait for another run, in ms. */
const WORK_MS = 60_000;
/** The wait of one statement for a table lock, in ms: for so long others queue behind it. */
const TABLE_LOCK_TIMEOUT_MS = 2_000;
/** The time in which to try again, in ms. */
const TABLE_PATIENCE_MS = 15_000;
/** The time for a cancelled statement to stop, in ms, before its connection is dropped. */
const CANCEL_GRACE_MS = 2_000;

/**
 * Puts a ledger right, without running anything. Shows the changes by a ledger that it reads without the lock, as `plan`
 * does. Writes only when told to: then it decides the changes under the migration lock, and writes them in one transaction.
 * @throws MigratorError `BASELINE_MISMATCH` where the database lacks tables that a baseline claims, `LEDGER_ELSEWHERE`, and as
 *   `connect`, `acquireLock`, `retryOnContention` and `proposeChanges`
 */
export async function amendLedger(
  request: AmendmentRequest,
  options: AmendOptions,
): Promise<Amendment> {
  const { target, requestId, write, lockTimeoutMs, log } = options;
  const deadline = Date.now() + target.connectTimeoutMs + lockTimeoutMs + WORK_MS;
  const limits = {
    ...{ requestId, deadline, log },
    ...{ reason: deadlinePassed(), graceMs: CANCEL_GRACE_MS },
  };
  if (!write) {
    return await withConnection(target, { ...limits, opening: {} }, async (connection) => {
      const proposal = await propose(connection, request, options);
      return describeAmendment(requestId, connection, proposal, false);
    });
  }
  const opening = { lock: openingLockQuestion(target) };
  return await withConnection(target, { ...limits, opening }, async (connection) => {
    const ended = await takeLock(connection, options, deadline);
    const proposal = await propose(connection, request, options);
    const written = proposal.changes.length > 0;
    if (written) await writeChanges(connection, proposal, options);
    return describeAmendment(requestId, connection, proposal, written, ended);
  });
}

function describeAmendment(
  requestId: string,
  connection: Connection,
  { changes, ledger, warnings, foundTables }: Proposal,
  written: boolean,
  ended: readonly Warning[] = [],
): Amendment {
  return {
    schemaVersion: 1,
    requestId,
    changes: changes.map(({ migration, summary }) => ({ migration, summary })),
    written,
    database: connection.database,
    ledger,
    ...(foundTables === undefined ? {} : { foundTables }),
    warnings: [...connection.warnings, ...ended, ...warnings],
  };
}

/** Makes sure of the lock. A lock that came with the login counts only where it outlasts the first message. */
async function takeLock(
  connection: Connection<"lock">,
  { target, lockTimeoutMs, log, onWait }: AmendOptions,
  deadline: number,
): Promise<readonly Warning[]> {
  if (connection.readOnly) {
    throw readOnly(
      `A ledger can be written only where the database can be: ${connection.database.host} is a replica, or the role's transactions are read-only. Nothing was written.`,
    );
  }
  await refusePooler(connection);
  if (readLockAnswer(connection.opening.lock) === "kept") return [];
  return await acquireLock(connection, target.ledger, {
    ...{ timeoutMs: lockTimeoutMs, deadline, log },
    ...(onWait === undefined ? {} : { onWait }),
  });
}

async function propose(
  connection: Connection,
  request: AmendmentRequest,
  { bundle, target }: AmendOptions,
): Promise<Proposal> {
  const [answer] = await askForLedger(connection, target.ledger);
  const { role } = connection.database;
  const proposal = proposeChanges(request, bundle, readPlaces(answer, role, bundle), role);
  if (request.kind !== "baseline" || proposal.changes.length === 0) return proposal;
  const tags = new Set(proposal.changes.flatMap(({ migration }) => migration ?? []));
  // With nothing of it in this ledger, it may be in another one.
  const [ledgers = []] = await connection.batch([elsewhereQuestion()]);
  const isFirst = tags.size === upTo(bundle, request.to).length;
  const closed = isFirst ? readElsewhere(ledgers, target.ledger, bundle) : [];
  const { foundTables, warnings } = await checkBaseline(connection, bundle, {
    to: request.to,
    tags,
    gone: request.gone ?? [],
  });
  return { ...proposal, foundTables, warnings: [...proposal.warnings, ...closed, ...warnings] };
}

/** Writes the changes, and reads them back before the COMMIT: a failure leaves the ledger as it was. */
async function writeChanges(
  connection: Connection,
  proposal: Proposal,
  options: AmendOptions,
): Promise<void> {
  const { log } = options;
  const parts: readonly Part[] = [
    ...beginParts("begin", TABLE_LOCK_TIMEOUT_MS),
    ...proposal.changes.flatMap(({ sendings }) => sendings).map(toPart),
    // Triggers that wait for the COMMIT act before it is read back.
    toPart(RUN_DEFERRED),
  ];
  const { role } = connection.database;
  const tables = proposal.changes.flatMap((change) => change.tables);
  const explainLedger = (thrown: unknown) =>
    isPrivilegeError(thrown) ? deniedAmendment(tables, role, thrown) : thrown;
  const patience = {
    lockTimeoutMs: TABLE_LOCK_TIMEOUT_MS,
    deadline: Date.now() + TABLE_PATIENCE_MS,
    log,
  };
  await retryOnContention(connection, patience, async () => {
    await sendTransaction(connection, parts, { explainLedger });
    await readBack(connection, proposal, options);
    await sendTransaction(connection, [toPart({ text: "commit" })], { explainLedger });
  });
}

function toPart({ text, values }: Sending): Part {
  return { kind: "ledger", text, ...(values === undefined ? {} : { values }) };
}

/**
 * Reads the ledger as the next run would, in the transaction that has written it: a trigger, a rule or a policy may have
 * taken changes away.
 * @throws MigratorError `LEDGER_UNWRITABLE`, once the transaction is rolled back
 */
async function readBack(
  connection: Connection,
  { changes }: Proposal,
  { bundle, target }: AmendOptions,
): Promise<void> {
  let missing: readonly Change[] = changes;
  try {
    const { role } = connection.database;
    const [answer] = await askForLedger(connection, target.ledger);
    missing = missingChanges(changes, readPlaces(answer, role, bundle).found);
  } finally {
    if (missing.length > 0) await connection.cleanUp("rollback");
  }
  if (missing.length > 0) throw swallowed(missing);
}

function swallowed(missing: readonly Change[]): MigratorError {
  const summaries = missing.map(({ summary }) => summary).join("; ");
  return new MigratorError(
    "LEDGER_UNWRITABLE",
    `PostgreSQL took the changes, but the ledger did not have all of them before the COMMIT, so they are rolled back. These were missing: ${summaries}. A trigger, a rule or a row-level security policy of the ledger takes changes away: look at it with \\d+, also at the table of checkpoints beside it.`,
  );
}

function deadlinePassed(): MigratorError {
  return new MigratorError(
    "DEADLINE",
    "The database did not answer in time. Run the same command without --yes: it shows what is left to write.",
    { retryable: true },
  );
}
