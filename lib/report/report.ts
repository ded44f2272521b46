/*
 * Report: the end of a run, as one JSON value for every caller. The facts of a run come in, and its error if it
 * failed. A report goes out, without secrets, and short enough for its caller. Nothing here asks a database, or gives
 * a report the form that a caller expects.
 */

import type { Migration } from "../bundle/bundle.ts";
import type { ReportedFinding } from "../bundle/finding.ts";
import type { Cut } from "../bundle/steps.ts";
import type { DatabaseFacts, Notice } from "../connection/connection.ts";
import {
  type ErrorCode,
  MigratorError,
  type StatementPlace,
  toError,
  type Warning,
} from "../errors.ts";
import type { AppliedMigration } from "../execute/executor.ts";
import type { Lockout } from "../execute/lockouts.ts";
import type { MigrationTimes, Stall, Wait } from "../execute/run-times.ts";
import type { RestorePoint } from "../history/history.ts";
import type { LedgerFacts } from "../ledger/ledger.ts";
import type { Drift } from "../plan/plan.ts";
import { postgresFacts } from "../postgres/errors.ts";
import { mayQuoteData } from "../postgres/quoting.ts";
import type { Asked } from "./asked.ts";
import type { Rehearsal } from "./rehearsed.ts";

/** The product's output: one JSON value, the same for every caller. Schema: `docs/report.schema.json`. */
export interface Report {
  readonly schemaVersion: 1;
  readonly requestId: string;
  /** The tenant that the request named; null for the function's own database. */
  readonly target: { readonly id: string } | null;
  readonly status: "applied" | "up-to-date" | "planned" | "failed";
  /** The executor that applied, or would apply; null when nothing is to be applied or the run never decided. */
  readonly executor: "drizzle" | "statements" | null;
  /** Reason for not taking Drizzle's own migrator; null when the run takes it. */
  readonly executorReason: string | null;
  /** Whether all pending migrations share one transaction. Then a failure leaves nothing behind. */
  readonly atomic: boolean;
  /** The places where a statement forces one transaction to end; none where nothing is pending. */
  readonly cuts: readonly ReportedCut[];
  readonly ledger: LedgerFacts | null;
  readonly database: DatabaseFacts | null;
  /** The state of the database before the first write of the run; null where no database answered. */
  readonly restorePoint: RestorePoint | null;
  /** `up`: the migrations that this run applied. `status`: those that are both in the ledger and in the bundle. */
  readonly applied: readonly AppliedMigration[];
  /** The migrations that are still pending when the call ends. */
  readonly pending: readonly PendingMigration[];
  /** Tag of the newest migration of the bundle that is applied when the call ends; null without one. */
  readonly latest: string | null;
  readonly drift: Drift;
  /**
   * The findings of `check` in the migrations that were pending when the call began. `plan` grades them by the
   * database's catalog; elsewhere those that only the catalog can grade are marked.
   */
  readonly findings: readonly ReportedFinding[];
  readonly warnings: readonly Warning[];
  readonly notices: readonly Notice[];
  /** The times in which the run waited for other sessions, the first 100. */
  readonly waits: readonly Wait[];
  /** The times in which other sessions waited for the run, the first 100. They are seen about once a second. */
  readonly stalls: readonly Stall[];
  /** The times in which the run kept reads or writes of others from what was there before, the first 100. */
  readonly lockouts: readonly Lockout[];
  /** The longest of them, in ms; 0 without any, null where the length of one is not known. */
  readonly lockedOutMs: number | null;
  /** What was asked for, and by whom; absent where the request itself could not be read. */
  readonly asked?: Asked;
  /** `plan`: what commits together, in order. */
  readonly steps?: readonly ReportedStep[];
  /** `status`: the run that holds the migration lock at this moment; null without one. */
  readonly running?: RunningRun | null;
  /** `rehearse`: what was seen on the branch; null where there was none. */
  readonly rehearsal?: Rehearsal | null;
  /** Present exactly when `status` is `failed`. */
  readonly error?: ReportedError;
  readonly timings: Timings;
  /** Number of network round trips: the WebSocket upgrade, and each later change from sending to receiving. */
  readonly roundTrips: number;
}

/** A migration without a ledger row. */
export interface PendingMigration extends MigrationTimes {
  readonly tag: string;
  readonly hash: string;
  readonly when: number;
  readonly statements: number;
  /** Number of its statements that are done already: more than 0 for a half-applied migration. */
  readonly done: number;
  /** Reasons why Drizzle's own migrator would not apply it, or not now: `out-of-order`, `behind-watermark` … */
  readonly reasons: readonly string[];
}

/** A place where one transaction must end, with the statement that forces it. */
export interface ReportedCut {
  readonly migration: string;
  /** Number of the statement, from 1. */
  readonly statement: number;
  readonly line: number;
  readonly reason: string;
}

/** Statements that commit together. */
export interface ReportedStep {
  /** `alone`: a statement that no transaction can hold. */
  readonly kind: "transaction" | "alone";
  readonly slices: readonly {
    readonly migration: string;
    /** Numbers of its statements, from 1. Those that begin or end a transaction are not among them. */
    readonly statements: readonly number[];
  }[];
}

/** A run that is under way, as the server shows its session to our role: of other roles it hides the most. */
export interface RunningRun {
  readonly pid: number;
  readonly application: string | null;
  readonly role: string | null;
  /** Time of its login, in UTC. */
  readonly since: string | null;
  /** What it is busy with, as PostgreSQL names it: `active`, `idle in transaction` … */
  readonly state: string | null;
  /** Its present statement, or its last one. It may hold data. */
  readonly statement: string | null;
}

/** A failure, as it leaves the process. Secrets are redacted. */
export interface ReportedError {
  readonly code: ErrorCode;
  readonly message: string;
  /**
   * The message for those who may see a deployment and no data: CloudFormation and CodePipeline get it. It quotes neither
   * values nor the statements of other sessions.
   */
  readonly publicMessage: string;
  readonly migration: string | null;
  readonly statement: StatementPlace | null;
  readonly sqlstate: string | null;
  readonly detail: string | null;
  readonly hint: string | null;
  readonly where: string | null;
  /** The next step of the reader; null where the message has it. It quotes no data. */
  readonly advice: string | null;
  /** A query that shows the rows that contradict the statement; null where there is none. It may quote data. */
  readonly query: string | null;
  readonly retryable: boolean;
}

/** The time that each part took, in whole milliseconds. */
export interface Timings {
  readonly totalMs: number;
  readonly connectMs: number;
  readonly lockMs: number;
  readonly planMs: number;
  readonly executeMs: number;
}

/** The known facts of a run, however far it came. */
export type RunFacts = Partial<Omit<Report, "schemaVersion" | "requestId" | "status" | "error">>;

const NOTHING: Omit<Report, "schemaVersion" | "requestId" | "status" | "error"> = {
  target: null,
  executor: null,
  executorReason: null,
  atomic: false,
  cuts: [],
  ledger: null,
  database: null,
  restorePoint: null,
  applied: [],
  pending: [],
  latest: null,
  drift: { modified: [], unknown: [], outOfOrder: [] },
  findings: [],
  warnings: [],
  notices: [],
  waits: [],
  stalls: [],
  lockouts: [],
  lockedOutMs: 0,
  timings: { totalMs: 0, connectMs: 0, lockMs: 0, planMs: 0, executeMs: 0 },
  roundTrips: 0,
};

/** Builds the report of a run that ended well. */
export function buildReport(
  requestId: string,
  status: "applied" | "up-to-date" | "planned",
  facts: RunFacts,
): Report {
  return { schemaVersion: 1, requestId, status, ...NOTHING, ...facts };
}

/** Builds the report of a run that failed, from any thrown value. */
export function failedReport(requestId: string, thrown: unknown, facts: RunFacts = {}): Report {
  const error = reportedError(thrown);
  return { schemaVersion: 1, requestId, status: "failed", ...NOTHING, ...facts, error };
}

/** PostgreSQL's own words are never lost: what an error does not say itself comes from its cause. */
function reportedError(thrown: unknown): ReportedError {
  const error = toMigratorError(thrown);
  const { code, message, facts } = error;
  const server = postgresFacts(facts.cause);
  const { migration, statement, sqlstate, detail, hint, where, advice, query, retryable } = {
    ...server,
    ...facts,
  };
  return {
    code,
    message:
      server === null || message.includes(server.message)
        ? message
        : `${message} PostgreSQL: ${server.message} (${server.sqlstate}).`,
    publicMessage: publicMessage(error),
    migration: migration ?? null,
    statement: statement ?? null,
    sqlstate: sqlstate ?? null,
    detail: detail ?? null,
    hint: hint ?? null,
    where: where ?? null,
    advice: advice ?? null,
    query: query ?? null,
    retryable: retryable ?? false,
  };
}

/** Takes out of a message whatever may quote data: PostgreSQL's text by its kind, and the statements of others. */
function publicMessage({ code, message, facts }: MigratorError): string {
  const { cause, migration, sqlstate, statement, withheld = [] } = facts;
  const server = postgresFacts(cause);
  const isQuoted =
    server === null
      ? sqlstate !== undefined
      : code === "INTERNAL" || message.includes(server.message);
  // An error without a file comes from a proxy, which speaks of the login.
  const isData =
    server?.file == null ? migration !== undefined : mayQuoteData(server, statement?.excerpt ?? "");
  if (isQuoted && isData) {
    const place =
      statement === undefined ? "" : `, statement ${statement.index} (line ${statement.line})`;
    const what = migration === undefined ? "The run" : `Migration ${migration}${place}`;
    return `${what} was refused with SQLSTATE ${server?.sqlstate ?? sqlstate}, in words that may quote data.`;
  }
  return withheld.reduce((text, part) => text.replaceAll(part, "statement in the report"), message);
}

/** Turns any thrown value into a MigratorError. An error that nobody foresaw gets the code `INTERNAL`. */
export function toMigratorError(thrown: unknown): MigratorError {
  if (thrown instanceof MigratorError) return thrown;
  const cause = toError(thrown);
  return new MigratorError(
    "INTERNAL",
    `An unexpected error stopped the migrator: ${cause.message}. Please report it.`,
    { cause },
  );
}

/** Describes a pending migration, as a report does. */
export function describePending(
  migration: Migration,
  reasons: readonly string[],
  done: number,
): PendingMigration {
  const { tag, hash, when, statements } = migration;
  return { tag, hash, when, statements: statements.length, done, reasons };
}

/** Describes a cut, as a report does. */
export function describeCut({ migration, index, reason }: Cut): ReportedCut {
  const line = migration.statements[index]?.line ?? 1;
  return { migration: migration.tag, statement: index + 1, line, reason };
}
