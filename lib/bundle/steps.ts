import type { ObjectName } from "../postgres/names.ts";
import { type Migration, type Statement, type StatementMode, statementText } from "./bundle.ts";

/** Statements of one migration that are done together. */
export interface Slice {
  readonly migration: Migration;
  /**
   * Indexes, from 0, of the statements that are sent, in order. Statements that begin or end a transaction are not
   * among them.
   */
  readonly statements: readonly number[];
  /** Number of the migration's statements that are done after this slice. */
  readonly done: number;
  /** Whether this slice completes the migration. Then the ledger row commits with it. */
  readonly completes: boolean;
}

/** The unit that commits, or fails, as one: a transaction, or a statement that no transaction can hold. */
export type Step =
  | { readonly kind: "transaction"; readonly slices: readonly Slice[] }
  | { readonly kind: "alone"; readonly slice: Slice; readonly index: number };

/** Returns the slices of a step, in order. */
export function slicesOf(step: Step): readonly Slice[] {
  return step.kind === "alone" ? [step.slice] : step.slices;
}

/**
 * Returns the longest wait of a statement for a lock, in ms. The statement's own directive counts before its file's,
 * and that before the request.
 */
export function lockTimeoutOf(
  { directives, statements }: Migration,
  index: number,
  requestedMs: number,
): number {
  const own = statements[index]?.directives?.lockTimeoutMs;
  return own ?? directives?.lockTimeoutMs ?? requestedMs;
}

/** Facts about the statements that their parse trees do not show. */
export interface StepOptions {
  /** Returns the number of a migration's statements that an earlier run has done. */
  done(migration: Migration): number;
  /** Whether the server has shown that this statement cannot run in a transaction. */
  mustStandAlone(migration: Migration, index: number): boolean;
  /** Whether the server has shown that a statement uses a new enum value without naming it in its text. */
  readonly commitEveryEnumValue: boolean;
}

/** The facts of a first run: nothing is done, and no server has taught anything. */
export const NOTHING_KNOWN: StepOptions = {
  done: () => 0,
  mustStandAlone: () => false,
  commitEveryEnumValue: false,
};

/** The reason why migrations cannot share one transaction. */
export type Separation = "not-transactional" | "transaction-control" | "new-enum-value";

/** Puts all of these migrations into one transaction. */
export function oneTransaction(migrations: readonly Migration[]): Step {
  const slices = migrations.map((migration) => ({
    migration,
    statements: migration.statements.map((_statement, index) => index),
    done: migration.statements.length,
    completes: true,
  }));
  return { kind: "transaction", slices };
}

/**
 * Finds the migrations that cannot be part of one transaction for all, with the reason of each. Empty when all of
 * them can.
 */
export function separations(
  migrations: readonly Migration[],
  options: StepOptions,
): ReadonlyMap<Migration, Separation> {
  const found = new Map<Migration, Separation>();
  for (const { migration } of enumCuts(migrations, options)) {
    found.set(migration, "new-enum-value");
  }
  for (const migration of migrations) {
    const modes = migration.statements.map((statement, index) =>
      options.mustStandAlone(migration, index) ? "alone" : statement.mode,
    );
    const separate = migration.directives?.noTransaction === true && modes.length > 0;
    if (separate || modes.includes("alone")) found.set(migration, "not-transactional");
    else if (modes.some((mode) => mode !== "transactional")) {
      found.set(migration, "transaction-control");
    }
  }
  return found;
}

/**
 * Cuts one migration into steps, as its author meant them. A COMMIT ends a transaction. The statements behind it
 * commit one by one until a BEGIN; so do those of a file with the directive `no-transaction`, from its head. A
 * statement that cannot run in a transaction stands alone. A new enum value is committed before a statement that
 * names it. Statements that an earlier run has done are left out.
 */
export function cutSteps(migration: Migration, options: StepOptions): readonly Step[] {
  const cutter = new Cutter(migration, options.done(migration));
  const cuts = new Set(enumCuts([migration], options).map(({ after }) => after));
  for (const [index, { mode }] of migration.statements.entries()) {
    if (options.mustStandAlone(migration, index) || mode === "alone") cutter.alone(index);
    else if (mode === "transactional") cutter.add(index, cuts.has(index));
    else cutter.control(index, mode);
  }
  return completed(cutter.finish(), migration);
}

/** Collects steps. The statements before `from` are done already: only their boundaries count. */
class Cutter {
  readonly #migration: Migration;
  readonly #from: number;
  readonly #steps: Step[] = [];
  #open: number[] = [];
  /** True behind a COMMIT, or by directive, until the next BEGIN. Then each statement is a transaction. */
  #autocommit: boolean;

  constructor(migration: Migration, from: number) {
    this.#migration = migration;
    this.#from = from;
    this.#autocommit = migration.directives?.noTransaction === true;
  }

  add(index: number, closes: boolean): void {
    this.#open.push(index);
    if (this.#autocommit || closes) this.#close(index + 1);
  }

  alone(index: number): void {
    this.#close(index);
    if (index < this.#from) return;
    const slice = { migration: this.#migration, statements: [index], done: index + 1 };
    this.#steps.push({ kind: "alone", slice: { ...slice, completes: false }, index });
  }

  control(index: number, mode: StatementMode): void {
    if (mode.startsWith("rollback")) this.#open = [];
    else if (mode !== "begin") this.#close(index + 1);
    this.#autocommit = mode === "commit" || mode === "rollback";
  }

  finish(): readonly Step[] {
    this.#close(this.#migration.statements.length);
    return this.#steps;
  }

  #close(done: number): void {
    const statements = this.#open.filter((index) => index >= this.#from);
    this.#open = [];
    if (statements.length === 0) return;
    const slice = { migration: this.#migration, statements, done, completes: false };
    this.#steps.push({ kind: "transaction", slices: [slice] });
  }
}

/** Completes the migration with its last step, even if statements that are rolled back follow. */
function completed(steps: readonly Step[], migration: Migration): readonly Step[] {
  const done = migration.statements.length;
  const last = steps.at(-1);
  const nothing: Slice = { migration, statements: [], done, completes: true };
  if (last === undefined) return [{ kind: "transaction", slices: [nothing] }];
  const before = steps.slice(0, -1);
  if (last.kind === "alone") {
    return [...before, { ...last, slice: { ...last.slice, done, completes: true } }];
  }
  const slices = last.slices.map((slice) => ({ ...slice, done, completes: true }));
  return [...before, { kind: "transaction", slices }];
}

interface EnumCut {
  /** The migration that adds the value. */
  readonly migration: Migration;
  /** Index of the last statement before the one that uses it; -1 if that one is the first of its migration. */
  readonly after: number;
}

/**
 * Finds the places where one transaction for all these migrations would use an enum value that it has just added. A
 * type that is itself new in the transaction takes new values at once.
 */
function enumCuts(migrations: readonly Migration[], options: StepOptions): readonly EnumCut[] {
  const cuts: EnumCut[] = [];
  const newTypes: ObjectName[] = [];
  let added: { readonly migration: Migration; readonly value: string }[] = [];
  const all = migrations.flatMap((migration) =>
    migration.statements.map((statement, index) => ({ migration, statement, index })),
  );
  for (const { migration, statement, index } of all) {
    const used = added.find(({ value }) => uses(migration, statement, value, options));
    if (used !== undefined) {
      cuts.push({ migration: used.migration, after: index - 1 });
      added = [];
    }
    const { effect } = statement;
    if (effect?.kind === "creates-type") newTypes.push(effect.type);
    if (effect?.kind !== "adds-enum-value") continue;
    // Once the server has objected, no type counts as new: a statement can make one without a word of it in its text.
    const isNew = !options.commitEveryEnumValue && newTypes.some((type) => same(type, effect.type));
    if (!isNew) added.push({ migration, value: effect.value });
  }
  return cuts;
}

/** Whether a statement may use the value. A text that names it anywhere may use it; another ADD VALUE may not. */
function uses(
  migration: Migration,
  statement: Statement,
  value: string,
  { commitEveryEnumValue }: StepOptions,
): boolean {
  if (statement.effect?.kind === "adds-enum-value") return false;
  return commitEveryEnumValue || statementText(migration, statement).includes(value);
}

function same(one: ObjectName, other: ObjectName): boolean {
  const schema = one.schema === other.schema || one.schema === null || other.schema === null;
  return one.name === other.name && schema;
}
