import type { Migration } from "../bundle/bundle.ts";
import type { ReportedFinding } from "../bundle/finding.ts";
import type { DatabaseFacts, Notice } from "../connection/connection.ts";
import {
  type ErrorCode,
  MigratorError,
  type StatementPlace,
  toError,
  type Warning,
} from "../errors.ts";
import type { AppliedMigration } from "../execute/executor.ts";
import type { LedgerFacts } from "../ledger/ledger.ts";
import type { Drift } from "../plan/plan.ts";
import { postgresFacts } from "../postgres/errors.ts";

/** The product's output: one JSON value, the same for every caller. Schema: `docs/report.schema.json`. */
export interface Report {
  readonly schemaVersion: 1;
  readonly requestId: string;
  readonly status: "applied" | "up-to-date" | "planned" | "failed";
  /** Which executor applied, or would apply; null when nothing is to be applied or it was never decided. */
  readonly executor: "drizzle" | "statements" | null;
  /** Why Drizzle's own migrator was not used; null when it was. */
  readonly executorReason: string | null;
  /** Whether everything that was pending shares one transaction: then a failure left nothing behind. */
  readonly atomic: boolean;
  readonly ledger: LedgerFacts | null;
  readonly database: DatabaseFacts | null;
  /** `up`: what this run applied. `status`: everything that the ledger and the bundle both have. */
  readonly applied: readonly AppliedMigration[];
  /** What is still pending when the call ends. */
  readonly pending: readonly PendingMigration[];
  /** Tag of the newest migration of the bundle that is applied when the call ends; null when none is. */
  readonly latest: string | null;
  readonly drift: Drift;
  /**
   * What the rules of `check` have against the migrations that were pending when the call began. `plan` grades them by
   * the database's catalog.
   */
  readonly findings: readonly ReportedFinding[];
  readonly warnings: readonly Warning[];
  readonly notices: readonly Notice[];
  /** Present exactly when `status` is `failed`. */
  readonly error?: ReportedError;
  readonly timings: Timings;
  /** Network round trips: the WebSocket upgrade and each change from sending to receiving after it. */
  readonly roundTrips: number;
}

/** A migration without a ledger row. */
export interface PendingMigration {
  readonly tag: string;
  readonly hash: string;
  readonly when: number;
  readonly statements: number;
  /** How many of them are done already: more than 0 for a migration that is half applied. */
  readonly done: number;
  /** Why Drizzle's own migrator would not apply it, or not now: `out-of-order`, `behind-watermark` … */
  readonly reasons: readonly string[];
}

/** A failure, as it leaves the process. Secrets are redacted. */
export interface ReportedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly migration: string | null;
  readonly statement: StatementPlace | null;
  readonly sqlstate: string | null;
  readonly detail: string | null;
  readonly hint: string | null;
  readonly where: string | null;
  readonly retryable: boolean;
}

/** How long each part took, in whole milliseconds. */
export interface Timings {
  readonly totalMs: number;
  readonly connectMs: number;
  readonly lockMs: number;
  readonly planMs: number;
  readonly executeMs: number;
}

/** What is known of a run, however far it came. */
export type RunFacts = Partial<Omit<Report, "schemaVersion" | "requestId" | "status" | "error">>;

const NOTHING: Omit<Report, "schemaVersion" | "requestId" | "status" | "error"> = {
  executor: null,
  executorReason: null,
  atomic: false,
  ledger: null,
  database: null,
  applied: [],
  pending: [],
  latest: null,
  drift: { modified: [], unknown: [], outOfOrder: [] },
  findings: [],
  warnings: [],
  notices: [],
  timings: { totalMs: 0, connectMs: 0, lockMs: 0, planMs: 0, executeMs: 0 },
  roundTrips: 0,
};

/** The report of a run that ended well. */
export function buildReport(
  requestId: string,
  status: "applied" | "up-to-date" | "planned",
  facts: RunFacts,
): Report {
  return { schemaVersion: 1, requestId, status, ...NOTHING, ...facts };
}

/** The report of a run that failed, whatever was thrown. */
export function failedReport(requestId: string, thrown: unknown, facts: RunFacts = {}): Report {
  const error = reportedError(thrown);
  return { schemaVersion: 1, requestId, status: "failed", ...NOTHING, ...facts, error };
}

function reportedError(thrown: unknown): ReportedError {
  const error = toMigratorError(thrown);
  const { facts } = error;
  return {
    code: error.code,
    message: error.message,
    migration: facts.migration ?? null,
    statement: facts.statement ?? null,
    sqlstate: facts.sqlstate ?? null,
    detail: facts.detail ?? null,
    hint: facts.hint ?? null,
    where: facts.where ?? null,
    retryable: facts.retryable ?? false,
  };
}

/** Whatever was thrown as one of ours: what was not foreseen is `INTERNAL`. */
export function toMigratorError(thrown: unknown): MigratorError {
  if (thrown instanceof MigratorError) return thrown;
  const cause = toError(thrown);
  const server = postgresFacts(thrown);
  return new MigratorError(
    "INTERNAL",
    `The migrator met something that it was not built for: ${cause.message}. It stopped there; please report it.`,
    { cause, ...(server === null ? {} : { sqlstate: server.sqlstate }) },
  );
}

/** What a report says of a migration that is not applied. */
export function describePending(
  migration: Migration,
  reasons: readonly string[],
  done: number,
): PendingMigration {
  const { tag, hash, when, statements } = migration;
  return { tag, hash, when, statements: statements.length, done, reasons };
}
