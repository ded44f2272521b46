import type { Bundle, Migration } from "../bundle/bundle.ts";
import { isCosmeticEdit } from "../bundle/cosmetic-edit.ts";
import type { Cut } from "../bundle/steps.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { editedStatements, nameOf } from "../ledger/checkpoints.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Request } from "../request.ts";
import { minuteOf } from "../text.ts";
import { isEdited } from "./drift.ts";
import type { Matching } from "./match.ts";
import type { Drift, ExecutorReason, PlannedMigration } from "./plan.ts";

/** The part of a request that rules on drift, transactions and the executor. */
export type Policy = Pick<
  Request,
  "transaction" | "outOfOrder" | "modified" | "ahead" | "executor"
>;

/** The newest ledger row: newer migrations come behind it. */
export interface Newest {
  /** Its time, in epoch milliseconds. */
  readonly when: number;
  /** Whether its time is in the future. */
  readonly isFuture: boolean;
  /** The tag of its migration; null where no migration of the bundle has that row. */
  readonly tag: string | null;
}

/** The facts that decide on a refusal. */
interface Judged {
  readonly drift: Drift;
  readonly pending: readonly PlannedMigration[];
  readonly policy: Policy;
  /** Reason why Drizzle's own migrator cannot apply the pending migrations; null when it can. */
  readonly necessity: ExecutorReason | null;
  /** The first statement that keeps the pending migrations from sharing one transaction; null without one. */
  readonly separation: Cut | null;
  readonly newest: Newest;
}

/** Returns the error of the first policy that forbids the plan; null when the plan may be carried out. */
export function refusalOf(judged: Judged): MigratorError | null {
  return refuseEdited(judged.pending) ?? refuseDrift(judged) ?? refuseManner(judged);
}

/** Refuses a half-applied migration if its finished part was changed: then nobody can tell where to go on. */
function refuseEdited(pending: readonly PlannedMigration[]): MigratorError | null {
  const edited = pending.find(isEdited);
  const range = edited?.checkpoint && editedStatements(edited.migration, edited.checkpoint);
  if (edited === undefined || range === null || range === undefined) return null;
  const { tag, hash } = edited.migration;
  return new MigratorError(
    "MODIFIED",
    `Migration ${tag} is half applied: ${edited.checkpoint?.done} of its statements are done, and ${nameOf(range)} of these was changed since (file hash ${short(edited.checkpoint?.hash ?? "")} then, ${short(hash)} now). Restore what has run, and change only what has not; or, if the database already looks as the file says, take it as it is with "neon-migrate repair --accept ${tag}".`,
    { migration: tag },
  );
}

function refuseDrift({ drift, policy, newest, pending }: Judged): MigratorError | null {
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
      `${aheadOf(unknown)} ${pending.length > 0 ? MERGE : "Deploy the code that has them"}, or send "ahead": "warn".`,
    );
  }
  const [late] = outOfOrder;
  if (late !== undefined && policy.outOfOrder === "error") {
    return new MigratorError(
      "OUT_OF_ORDER",
      `${list(outOfOrder.map(({ tag }) => tag))} pending, but older than the newest applied one (${named(newest)}). Drizzle would skip this in silence. ${lastPlace(newest)}, or apply it where it is with "outOfOrder": "apply".`,
      { migration: late.tag },
    );
  }
  return null;
}

function named({ tag, when }: Newest): string {
  return tag ?? `made on ${minuteOf(when)}, not in this bundle`;
}

/** Says how a migration becomes the last one. drizzle-kit dates a migration by its clock. */
function lastPlace({ when, isFuture }: Newest): string {
  if (!isFuture) return "Generate it again so that it comes last";
  return `The newest is dated ${minuteOf(when).replace(/ .*/, "")}, in the future, so that generating it again does not help before that day: give it a later time by hand ("when" in the journal above ${when}, or the time in its folder's name)`;
}

/** Refuses a transaction mode or an executor that the request asks for and the pending migrations rule out. */
function refuseManner({ policy, necessity, separation }: Judged): MigratorError | null {
  if (policy.transaction === "all" && separation !== null) {
    const { migration, index, reason } = separation;
    const line = migration.statements[index]?.line ?? 1;
    return new MigratorError(
      "NOT_ATOMIC",
      `The pending migrations cannot share one transaction, as "transaction": "all" asks: statement ${index + 1} of ${migration.tag} (line ${line}) ends it (${reason}). Send "transaction": "auto", or ship that statement in a deployment of its own.`,
      { migration: migration.tag },
    );
  }
  if (policy.executor === "drizzle" && necessity !== null) {
    return new MigratorError(
      "EXECUTOR_UNSUITABLE",
      `Drizzle's own migrator cannot apply the pending migrations (${necessity}). Send "executor": "auto".`,
    );
  }
  return null;
}

/** Warns of the drift that a policy lets pass, and names the way out. Some readers see only the warnings. */
export function toleratedDrift(
  { modified, unknown }: Drift,
  policy: Policy,
  pending: readonly Migration[],
  applied: readonly Migration[],
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
      message: `${aheadOf(unknown)} ${causeOf(unknown, pending, applied)}`,
    });
  }
  return warnings;
}

/**
 * Warns of cosmetic edits, and never refuses them. Drizzle's own tools compare nothing, and other tools only hashes.
 */
export function cosmeticEdits({ rowOf }: Matching): readonly Warning[] {
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

/** Warns of migrations that another deployment has begun and that this bundle does not have. */
export function strayCheckpoints(
  { migrations }: Bundle,
  { checkpoints }: Ledger,
): readonly Warning[] {
  const known = new Set(migrations.flatMap(({ tag, name }) => [tag, name]));
  return checkpoints
    .filter(({ tag, name }) => !known.has(tag) && !known.has(name))
    .map(({ tag, done }) => ({
      code: "HALF_APPLIED_ELSEWHERE",
      message: `Migration ${tag} is half applied (${done} statements are done), and this bundle does not have it. Deploy the code that has it, so that it is finished.`,
    }));
}

function hashes({ ledgerHash, bundleHash }: Drift["modified"][number]): string {
  return `hash ${short(ledgerHash)} in the ledger, ${short(bundleHash)} in the bundle`;
}

const MERGE = "Merge the branch that has them";

/** A rollback leaves only rows that are newer than all that the bundle has, and nothing to do. */
function causeOf(
  unknown: Drift["unknown"],
  pending: readonly Migration[],
  applied: readonly Migration[],
): string {
  const isOlder = unknown.some(
    ({ when }) => when !== null && applied.some((each) => each.when > when),
  );
  if (pending.length > 0) {
    return `Something is pending, too, so this is no rollback: a branch was applied that is not merged here. ${MERGE}.`;
  }
  if (!isOlder) return "That is as it should be after a rollback.";
  return `A newer migration of this bundle is applied, so this is no rollback: a branch was applied that is not merged here, or a file was removed. ${MERGE}, or restore the file.`;
}

function aheadOf(unknown: Drift["unknown"]): string {
  return `The database is ahead: ${rows(unknown)} to no migration of this bundle.`;
}

/** A row of Drizzle 0.x has no name. Its time is that of the journal, by which a person finds its migration. */
function rows(unknown: Drift["unknown"]): string {
  const names = unknown.map(
    ({ name, hash, when }) =>
      name ?? `hash ${short(hash)}${when === null ? "" : `, made on ${minuteOf(when)}`}`,
  );
  const shown = names.slice(0, 5).join("; ");
  if (names.length === 1) return `1 ledger row (${shown}) belongs`;
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return `${names.length} ledger rows (${shown}${more}) belong`;
}

function list(tags: readonly string[]): string {
  const shown = tags.slice(0, 5).join(", ");
  if (tags.length === 1) return `Migration ${shown} is`;
  return `Migrations ${shown}${tags.length > 5 ? ` and ${tags.length - 5} more` : ""} are`;
}

function short(hash: string): string {
  return `${hash.slice(0, 12)}…`;
}
