/*
 * Plan: the decision about a run. A bundle, a ledger and the policies of a request come in. A plan goes out, as plain
 * data: the pending migrations in their order, the steps that commit together, the drift, and a refusal if a policy
 * forbids the run. Nothing here asks a database or changes one.
 */

import { type Bundle, type Migration, statementText } from "../bundle/bundle.ts";
import {
  type Cut,
  cutSteps,
  type Separation,
  type Step,
  setsTransaction,
  slicesOf,
} from "../bundle/steps.ts";
import { findCheckpoint, interruptedStatement } from "../ledger/checkpoints.ts";
import type { Ledger, LedgerRow } from "../ledger/ledger.ts";
import type { Request } from "../request.ts";
import { findDrift } from "./drift.ts";
import { warnOfNames } from "./drizzle-names.ts";
import { type Lessons, NO_LESSONS } from "./lessons.ts";
import { type Matching, matchRows, toSecond } from "./match.ts";
import { nothingToDo } from "./nothing-to-do.ts";
import type { ExecutorReason, Plan } from "./plan.ts";
import {
  cosmeticEdits,
  type Policy,
  refusalOf,
  strayCheckpoints,
  toleratedDrift,
} from "./policies.ts";

/** Facts about the server, and those that an attempt has learned. */
export interface Known {
  readonly lessons?: Lessons | undefined;
  /** The server's major version. Default: the newest one. */
  readonly serverMajor?: number;
  /** Epoch milliseconds. Default: no time is in the future. */
  readonly now?: number;
}

/** The first version that takes new values of an enum in the transaction that makes the enum. */
const NEW_TYPES_TAKE_VALUES = 17;

/**
 * Decides the work of a run, by set difference between bundle and ledger. Pure.
 * @returns a plan for every input; its `refusal` is the error of a policy that forbids it
 */
export function planMigrations(
  bundle: Bundle,
  ledger: Ledger,
  policy: Policy,
  {
    lessons = NO_LESSONS,
    serverMajor = Number.POSITIVE_INFINITY,
    now = Number.POSITIVE_INFINITY,
  }: Known = {},
): Plan {
  if (ledger.isComplete === true) return nothingToDo(bundle);
  const matching = matchRows(bundle, ledger.rows);
  const pending = bundle.migrations.filter((migration) => !matching.rowOf.has(migration));
  const newest = newestOf(bundle, ledger.rows);
  const checkpoints = new Map(
    pending.map((migration) => [migration, findCheckpoint(ledger.checkpoints, migration)]),
  );
  const { steps, cuts } = cutSteps(
    pending,
    {
      done: (migration) => checkpoints.get(migration)?.done ?? null,
      mustStandAlone: (migration, index) =>
        lessons.standAlone.some((each) => each.tag === migration.tag && each.index === index) ||
        interruptedStatement(migration, checkpoints.get(migration)) === index,
      cutBefore: ({ tag }, at) =>
        lessons.cuts.find((each) => each.tag === tag && each.at === at) ?? null,
      newTypesTakeValues: serverMajor >= NEW_TYPES_TAKE_VALUES,
    },
    policy.transaction === "each",
  );
  const halves = pending.filter((migration) => checkpoints.get(migration) !== undefined);
  const isOne = steps.length <= 1 && steps.every(({ kind }) => kind === "transaction");
  const skipped = skippedByDrizzle(steps, ledger.rows);
  const planned = pending.map((migration) => ({
    migration,
    checkpoint: checkpoints.get(migration) ?? null,
    reasons: [
      ...(halves.includes(migration) ? ["half-applied" as const] : []),
      ...separationOf(migration, cuts),
      ...(skipped.has(migration) ? [skippedReason(migration, newest)] : []),
    ],
  }));
  const drift = findDrift(bundle, matching, planned, newest);
  const necessity = planned.flatMap(({ reasons }) => reasons)[0] ?? named(ledger);
  const applied = bundle.migrations.filter((migration) => matching.rowOf.has(migration));
  return {
    applied,
    latest: applied.at(-1)?.tag ?? null,
    pending: planned,
    steps,
    cuts,
    atomic: halves.length === 0 && isOne,
    ...selectExecutor(pending.length > 0, policy.executor, necessity),
    drift,
    warnings: [
      ...matching.warnings,
      ...toleratedDrift(drift, policy, pending, applied),
      ...cosmeticEdits(matching),
      ...warnOfNames(bundle, ledger, matching),
      ...strayCheckpoints(bundle, ledger),
    ],
    refusal: refusalOf({
      drift,
      pending: planned,
      policy,
      necessity: pending.length > 0 ? necessity : null,
      separation: isOne ? null : (cuts[0] ?? null),
      newest: { when: newest, isFuture: newest > now, tag: tagOf(matching, newest) },
    }),
  };
}

/** Returns the tag of the applied migration with this time; null where the bundle has none. */
function tagOf({ rowOf }: Matching, when: number): string | null {
  return Array.from(rowOf.keys()).find((migration) => migration.when === when)?.tag ?? null;
}

/** Returns the reason why Drizzle's migrator, with its one transaction, cannot apply a migration; none where it can. */
function separationOf(migration: Migration, cuts: readonly Cut[]): readonly Separation[] {
  const reason = cuts.find((cut) => cut.migration === migration)?.reason;
  if (reason !== undefined) return [reason];
  const controls = migration.statements.some(
    (each) =>
      each.mode !== "transactional" || setsTransaction(each, () => statementText(migration, each)),
  );
  return controls ? ["transaction-control"] : [];
}

function skippedReason({ when }: Migration, newest: number): ExecutorReason {
  return when < newest ? "out-of-order" : "behind-watermark";
}

/**
 * Returns the time of the newest ledger row. The 1.0 layout keeps whole seconds, so there the row's time is rounded
 * down.
 */
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
 * Returns the pending migrations that Drizzle 0.x would pass over in silence. It reads one row per run, the one with
 * the highest `created_at` (a null sorts first and counts as 0), and applies the migrations that are newer.
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

/**
 * A 1.0 ledger needs our own executor: Drizzle 0.45 leaves `name` null there, and Drizzle 1.0 would then run that
 * migration again.
 */
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
