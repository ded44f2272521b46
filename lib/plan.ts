import type { Bundle, Migration, Warning } from "./bundle.ts";
import { MigratorError } from "./errors.ts";
import type { Ledger, LedgerRow } from "./ledger-home.ts";
import { type Matching, matchRows } from "./match.ts";
import { quotePlace } from "./quote.ts";
import type { Drift } from "./report.ts";
import type { Request } from "./request.ts";

/** What would be done, as data: it can be printed, compared and tested without a database. */
export interface Plan {
  readonly applied: readonly Migration[];
  /** In the order in which they will be applied. */
  readonly pending: readonly PlannedMigration[];
  /** What commits together. Their concatenation is `pending`. */
  readonly transactions: readonly (readonly Migration[])[];
  /** Whether everything that is pending shares one transaction. */
  readonly atomic: boolean;
  /** Null when nothing is pending. */
  readonly executor: "drizzle" | "statements" | null;
  /** Why Drizzle's own migrator is not used; null when it is. */
  readonly executorReason: ExecutorReason | null;
  readonly drift: Drift;
  readonly warnings: readonly Warning[];
  /** What the request's policies forbid; null when the plan may be carried out. */
  readonly refusal: MigratorError | null;
}

/** A pending migration, and why Drizzle's own migrator would pass it over. */
export interface PlannedMigration {
  readonly migration: Migration;
  readonly reasons: readonly ExecutorReason[];
}

/** Why our own executor is taken. */
export type ExecutorReason =
  | "schema-creation-blocked"
  | "out-of-order"
  | "behind-watermark"
  | "named-ledger"
  | "requested";

type Policy = Pick<Request, "transaction" | "outOfOrder" | "modified" | "ahead" | "executor">;

/**
 * Decides what is to be done, by set difference between bundle and ledger. Pure.
 * @returns a plan for every input; what the policies forbid is its `refusal`
 */
export function planMigrations(bundle: Bundle, ledger: Ledger, policy: Policy): Plan {
  const matching = matchRows(bundle.migrations, ledger.rows);
  const pending = bundle.migrations.filter((migration) => !matching.rowOf.has(migration));
  const newest = newestOf(ledger.rows);
  const drift = findDrift(bundle, matching, pending, newest);
  const transactions = cutTransactions(pending, policy.transaction);
  const skipped = skippedByDrizzle(transactions, ledger.rows);
  const reasonsOf = (migration: Migration): readonly ExecutorReason[] => {
    if (!skipped.has(migration)) return [];
    return [migration.when < newest ? "out-of-order" : "behind-watermark"];
  };
  const planned = pending.map((migration) => ({ migration, reasons: reasonsOf(migration) }));
  const necessity = planned.flatMap(({ reasons }) => reasons)[0] ?? named(ledger);
  return {
    applied: bundle.migrations.filter((migration) => matching.rowOf.has(migration)),
    pending: planned,
    transactions,
    atomic: transactions.length <= 1 && !pending.some(controlsTransactions),
    ...selectExecutor(pending.length > 0, policy.executor, necessity),
    drift,
    warnings: matching.warnings,
    refusal:
      pending.length > 0 && ledger.format === "1.0"
        ? namedLedger(ledger)
        : refuse(drift, policy, pending.length > 0 ? necessity : null),
  };
}

function newestOf(rows: readonly LedgerRow[]): number {
  return rows.reduce(
    (newest, { when }) => Math.max(newest, when ?? newest),
    Number.NEGATIVE_INFINITY,
  );
}

function cutTransactions(
  pending: readonly Migration[],
  mode: Request["transaction"],
): readonly (readonly Migration[])[] {
  if (pending.length === 0) return [];
  return mode === "each" ? pending.map((migration) => [migration]) : [pending];
}

/**
 * The pending migrations that Drizzle 0.x would pass over in silence: it reads one row per run, the one
 * with the highest `created_at` (a null sorts first and counts as 0), and applies what is newer.
 */
function skippedByDrizzle(
  transactions: readonly (readonly Migration[])[],
  rows: readonly LedgerRow[],
): ReadonlySet<Migration> {
  const skipped = new Set<Migration>();
  const hasNull = rows.some(({ when }) => when === null);
  let watermark = hasNull ? 0 : newestOf(rows);
  for (const transaction of transactions) {
    for (const migration of transaction) if (migration.when <= watermark) skipped.add(migration);
    if (!hasNull) watermark = Math.max(watermark, ...transaction.map(({ when }) => when));
  }
  return skipped;
}

/** Drizzle 0.45 leaves `name` null in a 1.0 ledger, and Drizzle 1.0 would then run that migration again. */
function named(ledger: Ledger): ExecutorReason | null {
  return ledger.format === "1.0" ? "named-ledger" : null;
}

/** A row without its name would make Drizzle 1.0 run the migration again. */
function namedLedger({ place }: Ledger): MigratorError {
  return new MigratorError(
    "LEDGER_UNKNOWN_FORMAT",
    `The ledger ${quotePlace(place)} was upgraded by Drizzle 1.0 and names its migrations, which this version does not do yet; nothing was run. Apply what is pending with drizzle-kit 1.0.`,
  );
}

/** A file with a COMMIT of its own leaves something behind when a later statement fails. */
function controlsTransactions({ statements }: Migration): boolean {
  return statements.some(({ kind }) => kind === "TransactionStmt");
}

function selectExecutor(
  anyPending: boolean,
  wanted: Request["executor"],
  necessity: ExecutorReason | null,
): Pick<Plan, "executor" | "executorReason"> {
  if (!anyPending) return { executor: null, executorReason: null };
  if (necessity !== null) return { executor: "statements", executorReason: necessity };
  if (wanted === "statements") return { executor: "statements", executorReason: "requested" };
  return { executor: "drizzle", executorReason: null };
}

function findDrift(
  bundle: Bundle,
  matching: Matching,
  pending: readonly Migration[],
  newest: number,
): Drift {
  const modified = bundle.migrations.flatMap((migration) => {
    const row = matching.rowOf.get(migration);
    if (row === undefined || row.hash === migration.hash) return [];
    return [{ tag: migration.tag, ledgerHash: row.hash, bundleHash: migration.hash }];
  });
  return {
    modified,
    unknown: matching.unknown.map(({ hash, when, name }) => ({ hash, when, name })),
    outOfOrder: pending
      .filter(({ when }) => when < newest)
      .map(({ tag, hash, when }) => ({ tag, hash, when })),
  };
}

function refuse(
  drift: Drift,
  policy: Policy,
  necessity: ExecutorReason | null,
): MigratorError | null {
  const { modified, unknown, outOfOrder } = drift;
  const [changed] = modified;
  if (changed !== undefined && policy.modified === "error") {
    return new MigratorError(
      "MODIFIED",
      `${list(modified.map(({ tag }) => tag))} no longer what was applied (hash ${short(changed.ledgerHash)} in the ledger, ${short(changed.bundleHash)} in the bundle). Restore the file, or add a new migration.`,
      { migration: changed.tag },
    );
  }
  if (unknown.length > 0 && policy.ahead === "error") {
    return new MigratorError(
      "AHEAD",
      `The database is ahead: ${unknown.length} ledger rows belong to no migration of this bundle. Deploy the code that has them, or send "ahead": "warn".`,
    );
  }
  const [late] = outOfOrder;
  if (late !== undefined && policy.outOfOrder === "error") {
    return new MigratorError(
      "OUT_OF_ORDER",
      `${list(outOfOrder.map(({ tag }) => tag))} pending, but older than the newest applied one; Drizzle would skip this in silence. Generate it again so that it comes last, or apply it where it is with "outOfOrder": "apply".`,
      { migration: late.tag },
    );
  }
  if (policy.executor === "drizzle" && necessity !== null) {
    return new MigratorError(
      "EXECUTOR_UNSUITABLE",
      `Drizzle's own migrator cannot apply what is pending (${necessity}). Send "executor": "auto".`,
    );
  }
  return null;
}

function list(tags: readonly string[]): string {
  const shown = tags.slice(0, 5).join(", ");
  if (tags.length === 1) return `Migration ${shown} is`;
  return `Migrations ${shown}${tags.length > 5 ? ` and ${tags.length - 5} more` : ""} are`;
}

function short(hash: string): string {
  return `${hash.slice(0, 12)}…`;
}
