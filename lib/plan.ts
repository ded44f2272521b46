import type { Bundle, Migration, Warning } from "./bundle.ts";
import {
  type Checkpoint,
  editedStatement,
  findCheckpoint,
  interruptedStatement,
} from "./checkpoints.ts";
import { isCosmeticEdit } from "./cosmetic.ts";
import { warnOfNames } from "./drizzle-names.ts";
import { MigratorError } from "./errors.ts";
import type { Ledger, LedgerRow } from "./ledger-home.ts";
import { type Matching, matchRows, toSecond } from "./match.ts";
import type { Drift } from "./report.ts";
import type { Request } from "./request.ts";
import {
  cutSteps,
  oneTransaction,
  type Separation,
  type Step,
  type StepOptions,
  separations,
  slicesOf,
} from "./steps.ts";

/** What would be done, as data: it can be printed, compared and tested without a database. */
export interface Plan {
  readonly applied: readonly Migration[];
  /** In the order in which they will be applied. */
  readonly pending: readonly PlannedMigration[];
  /** What is done one after the other. */
  readonly steps: readonly Step[];
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
  /** How far an earlier run came with it; null where none did. */
  readonly checkpoint: Checkpoint | null;
}

/** Why our own executor is taken. */
export type ExecutorReason =
  | "schema-creation-blocked"
  | "out-of-order"
  | "behind-watermark"
  | "named-ledger"
  | "half-applied"
  | Separation
  | "requested";

/** What a first attempt has shown about the statements of this bundle that their texts do not say. */
export interface Lessons {
  /** Statements that the server would not run in a transaction, as `tag` and index. */
  readonly standAlone: readonly { readonly tag: string; readonly index: number }[];
  /** Whether a new enum value was used by a statement whose text does not name it. */
  readonly commitEveryEnumValue: boolean;
}

export const NO_LESSONS: Lessons = { standAlone: [], commitEveryEnumValue: false };

type Policy = Pick<Request, "transaction" | "outOfOrder" | "modified" | "ahead" | "executor">;

/**
 * Decides what is to be done, by set difference between bundle and ledger. Pure.
 * @returns a plan for every input; what the policies forbid is its `refusal`
 */
export function planMigrations(
  bundle: Bundle,
  ledger: Ledger,
  policy: Policy,
  lessons: Lessons = NO_LESSONS,
): Plan {
  const matching = matchRows(bundle, ledger.rows);
  const pending = bundle.migrations.filter((migration) => !matching.rowOf.has(migration));
  const newest = newestOf(bundle, ledger.rows);
  const checkpoints = new Map(
    pending.map((migration) => [migration, findCheckpoint(ledger.checkpoints, migration)]),
  );
  const options: StepOptions = {
    done: (migration) => checkpoints.get(migration)?.done ?? 0,
    mustStandAlone: (migration, index) =>
      lessons.standAlone.some((each) => each.tag === migration.tag && each.index === index) ||
      interruptedStatement(migration, checkpoints.get(migration)) === index,
    commitEveryEnumValue: lessons.commitEveryEnumValue,
  };
  const separated = separations(pending, options);
  const halves = pending.filter((migration) => checkpoints.get(migration) !== undefined);
  const together = policy.transaction !== "each" && separated.size === 0 && halves.length === 0;
  const steps = planSteps(pending, together, options);
  const skipped = skippedByDrizzle(steps, ledger.rows);
  const planned = pending.map((migration) => ({
    migration,
    checkpoint: checkpoints.get(migration) ?? null,
    reasons: [
      ...(halves.includes(migration) ? ["half-applied" as const] : []),
      ...[separated.get(migration) ?? []].flat(),
      ...(skipped.has(migration) ? [skippedReason(migration, newest)] : []),
    ],
  }));
  const drift = findDrift(bundle, matching, planned, newest);
  const necessity = planned.flatMap(({ reasons }) => reasons)[0] ?? named(ledger);
  return {
    applied: bundle.migrations.filter((migration) => matching.rowOf.has(migration)),
    pending: planned,
    steps,
    atomic:
      halves.length === 0 && steps.length <= 1 && steps.every(({ kind }) => kind === "transaction"),
    ...selectExecutor(pending.length > 0, policy.executor, necessity),
    drift,
    warnings: [
      ...matching.warnings,
      ...tolerated(drift, policy, pending),
      ...cosmetic(matching),
      ...warnOfNames(bundle, ledger, matching),
      ...strayCheckpoints(bundle, ledger),
    ],
    refusal:
      refuseEdited(planned) ??
      refuse(drift, policy, pending.length > 0 ? necessity : null, separated.size > 0),
  };
}

function planSteps(
  pending: readonly Migration[],
  together: boolean,
  options: StepOptions,
): readonly Step[] {
  if (pending.length === 0) return [];
  if (together) return [oneTransaction(pending)];
  return pending.flatMap((migration) => cutSteps(migration, options));
}

function skippedReason({ when }: Migration, newest: number): ExecutorReason {
  return when < newest ? "out-of-order" : "behind-watermark";
}

/** Of two times that were kept with different precision the coarser one counts. */
function newestOf({ layout }: Bundle, rows: readonly LedgerRow[]): number {
  const newest = watermarkOf(rows);
  return layout === "1.0" ? toSecond(newest) : newest;
}

function watermarkOf(rows: readonly LedgerRow[]): number {
  return rows.reduce(
    (newest, { when }) => Math.max(newest, when ?? newest),
    Number.NEGATIVE_INFINITY,
  );
}

/**
 * The pending migrations that Drizzle 0.x would pass over in silence: it reads one row per run, the one
 * with the highest `created_at` (a null sorts first and counts as 0), and applies what is newer.
 */
function skippedByDrizzle(
  steps: readonly Step[],
  rows: readonly LedgerRow[],
): ReadonlySet<Migration> {
  const skipped = new Set<Migration>();
  const hasNull = rows.some(({ when }) => when === null);
  let watermark = hasNull ? 0 : watermarkOf(rows);
  for (const step of steps) {
    const slices = slicesOf(step);
    const done = slices.filter(({ completes }) => completes).map(({ migration }) => migration);
    for (const migration of done) if (migration.when <= watermark) skipped.add(migration);
    if (!hasNull) watermark = Math.max(watermark, ...done.map(({ when }) => when));
  }
  return skipped;
}

/** Drizzle 0.45 leaves `name` null in a 1.0 ledger, and Drizzle 1.0 would then run that migration again. */
function named(ledger: Ledger): ExecutorReason | null {
  return ledger.format === "1.0" ? "named-ledger" : null;
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
  { migrations }: Bundle,
  matching: Matching,
  pending: readonly PlannedMigration[],
  newest: number,
): Drift {
  const modified = migrations.flatMap((migration) => {
    const row = matching.rowOf.get(migration);
    if (row === undefined || row.hash === migration.hash) return [];
    if (isCosmeticEdit(migration, row.hash)) return [];
    return [{ tag: migration.tag, ledgerHash: row.hash, bundleHash: migration.hash }];
  });
  const edited = pending.filter(isEdited).map(({ migration: { tag, hash }, checkpoint }) => ({
    tag,
    ledgerHash: checkpoint?.hash ?? "",
    bundleHash: hash,
  }));
  return {
    modified: [...modified, ...edited],
    unknown: matching.unknown.map(({ hash, when, name }) => ({ hash, when, name })),
    outOfOrder: pending
      .map(({ migration }) => migration)
      .filter(({ when }) => when < newest)
      .map(({ tag, hash, when }) => ({ tag, hash, when })),
  };
}

/** Whether something that was run already is no longer what it was. What was not may be edited freely. */
function isEdited({ migration, checkpoint }: PlannedMigration): boolean {
  return checkpoint !== null && editedStatement(migration, checkpoint) !== null;
}

/** Where to go on cannot be told once the part that was run has changed. */
function refuseEdited(pending: readonly PlannedMigration[]): MigratorError | null {
  const edited = pending.find(isEdited);
  const index = edited?.checkpoint && editedStatement(edited.migration, edited.checkpoint);
  if (edited === undefined || index === null || index === undefined) return null;
  const { tag, hash } = edited.migration;
  return new MigratorError(
    "MODIFIED",
    `Migration ${tag} is half applied: ${edited.checkpoint?.done} of its statements are done, and statement ${index + 1} of these was changed since (file hash ${short(edited.checkpoint?.hash ?? "")} then, ${short(hash)} now). Restore what has run, and change only what has not; or, if the database already looks as the file says, take it as it is with "neon-migrate repair --accept ${tag}".`,
    { migration: tag },
  );
}

/** What a policy lets pass is still said, with its way out: who reads only the warnings must see it. */
function tolerated(
  { modified, unknown }: Drift,
  policy: Policy,
  pending: readonly Migration[],
): readonly Warning[] {
  const changed = modified.filter(({ tag }) => !pending.some((each) => each.tag === tag));
  const [first] = changed;
  const warnings: Warning[] = [];
  if (first !== undefined && policy.modified === "warn") {
    warnings.push({
      code: "MODIFIED",
      message: `${list(changed.map(({ tag }) => tag))} no longer what was applied (${hashes(first)}), and not run again. Restore the file; or take it as it is now with "neon-migrate repair --accept ${first.tag}".`,
    });
  }
  if (unknown.length > 0 && policy.ahead === "warn") {
    warnings.push({
      code: "AHEAD",
      message: `The database is ahead: ${rows(unknown)} to no migration of this bundle. That is as it should be after a rollback.`,
    });
  }
  return warnings;
}

/** Said, because Drizzle's own tools compare nothing, and others only hashes. Never refused. */
function cosmetic({ rowOf }: Matching): readonly Warning[] {
  const edited = Array.from(rowOf).filter(([migration, row]) =>
    isCosmeticEdit(migration, row.hash),
  );
  if (edited.length === 0) return [];
  const tags = edited.map(([{ tag }]) => tag);
  return [
    {
      code: "COSMETIC_EDIT",
      message: `${list(tags)} no longer what was applied, byte for byte, but differ${tags.length === 1 ? "s" : ""} only in comments, blanks or line ends. Nothing needs to be done.`,
    },
  ];
}

function hashes({ ledgerHash, bundleHash }: Drift["modified"][number]): string {
  return `hash ${short(ledgerHash)} in the ledger, ${short(bundleHash)} in the bundle`;
}

function rows(unknown: Drift["unknown"]): string {
  const names = unknown.map(({ name, hash }) => name ?? `hash ${short(hash)}`);
  const shown = names.slice(0, 5).join(", ");
  if (names.length === 1) return `1 ledger row (${shown}) belongs`;
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return `${names.length} ledger rows (${shown}${more}) belong`;
}

/** A migration that another deployment has begun, and that this one does not know. */
function strayCheckpoints({ migrations }: Bundle, { checkpoints }: Ledger): readonly Warning[] {
  const known = new Set(migrations.flatMap(({ tag, name }) => [tag, name]));
  return checkpoints
    .filter(({ tag, name }) => !known.has(tag) && !known.has(name))
    .map(({ tag, done }) => ({
      code: "HALF_APPLIED_ELSEWHERE",
      message: `Migration ${tag} is half applied (${done} statements are done), and this bundle does not have it. Deploy the code that has it, so that it is finished.`,
    }));
}

function refuse(
  drift: Drift,
  policy: Policy,
  necessity: ExecutorReason | null,
  separated: boolean,
): MigratorError | null {
  const { modified, unknown, outOfOrder } = drift;
  const [changed] = modified;
  if (changed !== undefined && policy.modified === "error") {
    return new MigratorError(
      "MODIFIED",
      `${list(modified.map(({ tag }) => tag))} no longer what was applied (${hashes(changed)}). Restore the file and add a new migration for the change; or take the file as it is now with "neon-migrate repair --accept ${changed.tag}".`,
      { migration: changed.tag },
    );
  }
  if (unknown.length > 0 && policy.ahead === "error") {
    return new MigratorError(
      "AHEAD",
      `The database is ahead: ${rows(unknown)} to no migration of this bundle. Deploy the code that has them, or send "ahead": "warn".`,
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
  if (policy.transaction === "all" && separated) {
    return new MigratorError(
      "NOT_ATOMIC",
      `What is pending cannot share one transaction, as "transaction": "all" asks (${necessity}). Send "auto", or ship the statement that cannot in a deployment of its own.`,
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

/** What PostgreSQL says of a statement that cannot run where it was put, but may elsewhere. */
const MUST_STAND_ALONE = ["25001", "2D000"];
const UNSAFE_ENUM_VALUE = "55P04";

/**
 * What a failure teaches about the statements beyond their texts: a REINDEX of a partitioned table, a
 * procedure that commits, a new enum value that no text names.
 * @returns null where it teaches nothing new
 */
export function learnFrom(bundle: Bundle, failure: unknown, lessons: Lessons): Lessons | null {
  if (!(failure instanceof MigratorError) || failure.code !== "MIGRATION_FAILED") return null;
  const { sqlstate = "", migration: tag = "", statement } = failure.facts;
  if (sqlstate === UNSAFE_ENUM_VALUE) {
    return lessons.commitEveryEnumValue ? null : { ...lessons, commitEveryEnumValue: true };
  }
  if (!MUST_STAND_ALONE.includes(sqlstate) || statement === undefined) return null;
  const index = statement.index - 1;
  const known = lessons.standAlone.some((each) => each.tag === tag && each.index === index);
  const migration = bundle.migrations.find((each) => each.tag === tag);
  // SET TRANSACTION raises the same code, and means nothing outside a transaction.
  if (known || migration?.statements[index]?.kind === "VariableSetStmt") return null;
  return { ...lessons, standAlone: [...lessons.standAlone, { tag, index }] };
}
