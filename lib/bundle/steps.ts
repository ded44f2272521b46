import {
  type Migration,
  type Statement,
  type StatementMode,
  type StatementRef,
  statementText,
} from "./bundle.ts";

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
  | {
      readonly kind: "transaction";
      readonly slices: readonly Slice[];
      /** The BEGIN of the migration's author; absent where it says no more than ours. */
      readonly begin?: string;
    }
  | { readonly kind: "alone"; readonly slice: Slice; readonly index: number };

/** A statement, by its migration and its index, from 0. */
interface StatementOf {
  readonly migration: Migration;
  readonly index: number;
}

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
  /** Returns the number of a migration's statements that an earlier run has done; null where no run has begun it. */
  done(migration: Migration): number | null;
  /** Whether the server has shown that this statement cannot run in a transaction. */
  mustStandAlone(migration: Migration, index: number): boolean;
  /** Returns the cut that the server has shown to be needed before this statement; null where it has shown none. */
  cutBefore(migration: Migration, index: number): Omit<Cut, "migration"> | null;
  /** Whether an enum takes new values at once in the transaction that makes it: as of PostgreSQL 17. */
  readonly newTypesTakeValues: boolean;
}

/** The facts of a first run: nothing is done, and no server has taught anything. */
export const NOTHING_KNOWN: StepOptions = {
  done: () => null,
  mustStandAlone: () => false,
  cutBefore: () => null,
  newTypesTakeValues: true,
};

/** The reason why statements cannot share one transaction. */
export type Separation =
  | "not-transactional"
  | "transaction-control"
  | "new-enum-value"
  | "pending-trigger-events";

/** A place where one transaction must end, with the statement that forces it. */
export interface Cut extends StatementOf {
  readonly reason: Separation;
}

/** The steps of some migrations, and the cuts between them. */
export interface Cutting {
  readonly steps: readonly Step[];
  readonly cuts: readonly Cut[];
}

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
 * Cuts migrations into as few steps as PostgreSQL allows. Whole migrations, the rest of one and the head of the next
 * share a transaction, until a statement forces a cut. A statement that cannot run in a transaction stands alone. A
 * COMMIT ends a transaction; the statements behind it commit one by one until a BEGIN. So do those of a file with the
 * directive `no-transaction`, from its head. A new enum value is committed before a statement that uses it. Statements
 * that an earlier run has done are left out.
 * @param apart gives each migration transactions of its own
 */
export function cutSteps(
  migrations: readonly Migration[],
  options: StepOptions,
  apart = false,
): Cutting {
  const cutter = new Cutter(options);
  for (const migration of migrations) {
    // A migration goes on behind what its session has set: nothing may stand before it.
    if (apart || options.done(migration) !== null) cutter.close();
    cutter.migration(migration);
  }
  cutter.close();
  return { steps: cutter.steps, cuts: cutter.cuts() };
}

/** Collects steps. Of the statements that are done already only their boundaries count. */
class Cutter {
  readonly steps: Step[] = [];
  /** The last cut behind each number of steps. */
  readonly #cuts = new Map<number, Cut>();
  readonly #options: StepOptions;
  /** The slices of the open transaction. That of the current migration is not among them. */
  #slices: Slice[] = [];
  /** The statements of the current migration in the open transaction. */
  #open: number[] = [];
  /** The statements that add a value to an enum, or make one, in the open transaction. */
  #enums = new Set<string>();
  /** The author's own BEGIN of the open transaction. */
  #begin: string | null = null;
  /** True behind a COMMIT, or by directive, until the next BEGIN. Then each statement is a transaction. */
  #autocommit = false;
  #current: Migration | null = null;

  constructor(options: StepOptions) {
    this.#options = options;
  }

  migration(migration: Migration): void {
    const first = this.steps.length;
    this.#current = migration;
    this.#autocommit = migration.directives?.noTransaction === true;
    if (this.#autocommit && migration.statements.length > 0) this.#cut(0, "not-transactional");
    const early = this.#needOfWhole(migration);
    if (early !== null) this.#cut(early.index, early.reason, 0);
    for (const index of migration.statements.keys()) this.#take(migration, index);
    this.#complete(migration, first);
  }

  /** Returns the cuts that have a step on both sides, and the statements that stand alone. */
  cuts(): readonly Cut[] {
    const last = this.steps.length;
    return [...this.#cuts]
      .filter(([at]) => this.steps[at]?.kind === "alone" || (at > 0 && at < last))
      .map(([_at, cut]) => cut);
  }

  /** Ends the open transaction. */
  close(done = 0): void {
    const migration = this.#current;
    if (migration !== null && this.#open.length > 0) {
      this.#slices.push({ migration, statements: this.#open, done, completes: false });
    }
    if (this.#slices.length > 0) {
      const begin = this.#begin === null ? {} : { begin: this.#begin };
      this.steps.push({ kind: "transaction", slices: this.#slices, ...begin });
    }
    this.#slices = [];
    this.#open = [];
    this.#enums.clear();
  }

  /** Ends the open transaction, for a statement. @param done number of the migration's statements before the cut */
  #cut(index: number, reason: Separation, done = index): void {
    const migration = this.#current;
    if (migration === null) return;
    this.close(done);
    this.#cuts.set(this.steps.length, { migration, index, reason });
  }

  #take(migration: Migration, index: number): void {
    const statement = migration.statements[index];
    if (statement === undefined) return;
    const { mode } = statement;
    if (this.#options.mustStandAlone(migration, index) || mode === "alone") {
      this.#cut(index, "not-transactional");
      this.#alone(migration, index);
    } else if (mode === "transactional") this.#join(statement, { migration, index });
    else if (mode === "begin") {
      const text = statementText(migration, statement);
      if (!PLAIN_BEGIN.test(text)) this.#begins(index, text);
      this.#autocommit = false;
    } else this.#end(index, mode);
  }

  /** Takes a statement into the open transaction, or into a new one where it must not be in the open one. */
  #join(statement: Statement, { migration, index }: StatementOf): void {
    const settings = this.#open;
    const isHead = settings.every((each) => migration.statements[each]?.kind === "VariableSetStmt");
    const mayBegin = isHead && !this.#autocommit;
    if (mayBegin && setsTransaction(statement, () => statementText(migration, statement))) {
      this.#open = [];
      this.#begins(settings[0] ?? index, this.#begin ?? "begin");
      this.#open = settings;
    }
    const need = this.#needOf(migration, index);
    if (need !== null) this.#cut(need.index, need.reason, index);
    this.#add(statement, { migration, index });
  }

  #add(statement: Statement, { migration, index }: StatementOf): void {
    if (index < (this.#options.done(migration) ?? 0)) return;
    this.#open.push(index);
    if (statement.mode === "transactional" && ENUM_EFFECTS.includes(statement.effect?.kind ?? "")) {
      this.#enums.add(keyOf({ tag: migration.tag, index }));
    }
    if (!this.#autocommit) return;
    const isAsked = migration.directives?.noTransaction === true;
    this.#cut(index, isAsked ? "not-transactional" : "transaction-control", index + 1);
  }

  #alone(migration: Migration, index: number): void {
    if (index < (this.#options.done(migration) ?? 0)) return;
    const slice = { migration, statements: [index], done: index + 1, completes: false };
    this.steps.push({ kind: "alone", slice, index });
  }

  /** Begins a transaction that is not like others: it shares nothing with what stands before it. */
  #begins(index: number, begin: string): void {
    if (this.#slices.length + this.#open.length > 0) this.#cut(index, "transaction-control");
    this.#begin = begin;
  }

  #end(index: number, mode: StatementMode): void {
    if (mode.startsWith("rollback")) this.#open = [];
    else this.#cut(index, "transaction-control", index + 1);
    const chains = mode.endsWith("-and-begin");
    this.#autocommit = !chains;
    if (!chains) this.#begin = null;
  }

  /** Completes the migration with its last step, even if statements that are rolled back follow. */
  #complete(migration: Migration, first: number): void {
    const done = migration.statements.length;
    const last = this.steps.length > first ? this.steps.at(-1) : undefined;
    const isOwn = last !== undefined && slicesOf(last).at(-1)?.migration === migration;
    if (this.#open.length === 0 && isOwn) {
      this.steps.splice(-1, 1, completed(last, done));
    } else {
      this.#slices.push({ migration, statements: this.#open, done, completes: true });
      this.#open = [];
      if (this.#begin !== null) this.close();
    }
    this.#begin = null;
    this.#current = null;
  }

  /**
   * Finds a statement for which a COMMIT is needed before the whole migration: up to the first cut of its own, it stands
   * in the open transaction. A cut between two migrations leaves none of them half done.
   */
  #needOfWhole(migration: Migration): Cut | null {
    if (this.#slices.length === 0) return null;
    for (const [index, { mode }] of migration.statements.entries()) {
      const own = this.#options.mustStandAlone(migration, index) || !SHARED.includes(mode);
      if (own) return null;
      if (this.#usesNewValue(migration, index))
        return { migration, index, reason: "new-enum-value" };
    }
    return null;
  }

  /** Returns the cut that is needed before a statement; null without one. */
  #needOf(migration: Migration, index: number): Omit<Cut, "migration"> | null {
    const learned = this.#options.cutBefore(migration, index);
    if (learned !== null) return this.#slices.length + this.#open.length > 0 ? learned : null;
    return this.#usesNewValue(migration, index) ? { index, reason: "new-enum-value" } : null;
  }

  /** Whether a statement uses a value that the open transaction adds to a type. */
  #usesNewValue({ statements }: Migration, index: number): boolean {
    return (statements[index]?.newValues ?? []).some(({ added, created }) => {
      const { newTypesTakeValues } = this.#options;
      const isNew = newTypesTakeValues && created !== null && this.#enums.has(keyOf(created));
      return this.#enums.has(keyOf(added)) && !isNew;
    });
  }
}

/** A BEGIN that says no more than ours. */
const PLAIN_BEGIN = /^(?:begin|start)(?:\s+(?:work|transaction))?$/i;

const ENUM_EFFECTS: readonly string[] = ["adds-enum-value", "creates-type"];

/** Modes of statements that can share the transaction of the statement before them. */
const SHARED: readonly StatementMode[] = ["transactional", "begin"];

/** Whether the statement is SET TRANSACTION, which PostgreSQL takes at the head of a transaction only. */
export function setsTransaction({ kind }: Pick<Statement, "kind">, text: () => string): boolean {
  return kind === "VariableSetStmt" && /^set\s+(?:local\s+)?transaction\b/i.test(text());
}

function keyOf({ tag, index }: StatementRef): string {
  return `${index} ${tag}`;
}

function completed(step: Step, done: number): Step {
  if (step.kind === "alone") return { ...step, slice: { ...step.slice, done, completes: true } };
  const last = step.slices.length - 1;
  const slices = step.slices.map((slice, index) =>
    index === last ? { ...slice, done, completes: true } : slice,
  );
  return { ...step, slices };
}
