import type { Touched } from "../bundle/bundle.ts";
import type { Part } from "../execute/transaction.ts";
import { LOCK_MODES, type LockMode } from "../postgres/locks.ts";
import type { Code, Relation, Relations } from "./relations.ts";

/** A statement of a migration, as it is sent. */
export type StatementPart = Extract<Part, { kind: "statement" }>;

/** What the text of a statement says about its locks. */
export interface Asked {
  /** Whether the server is asked for the locks behind it. */
  readonly isAsked: boolean;
  /** The relations of before on which it takes a stronger lock than the statements in front of it, by oid. */
  readonly raises: ReadonlySet<string>;
}

/** So many statements may follow one another without a question for locks. */
const MOST_UNASKED = 100;

/** The kinds of statements that change rows. */
const CHANGES_ROWS: readonly string[] = ["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

/** The kinds that only make something, and run nobody's code but an event trigger's. */
const ONLY_MAKES: readonly string[] = [
  ...["CreateStmt", "CreateEnumStmt", "CreateSchemaStmt", "CreateSeqStmt", "CreateFunctionStmt"],
  ...["CommentStmt", "VariableSetStmt"],
];

/** The kinds whose text shows everything that they lock. Of any other kind the server is asked each time. */
const SHOWS_ITS_LOCKS: readonly string[] = [
  ...ONLY_MAKES,
  ...CHANGES_ROWS,
  ...["AlterTableStmt", "IndexStmt", "CreateTrigStmt"],
];

/** Kinds behind which other code may run than before. */
const MAY_MAKE_CODE: readonly string[] = [
  ...["CreateFunctionStmt", "DoStmt", "CreateExtensionStmt", "AlterExtensionStmt", "CallStmt"],
  "CreateEventTrigStmt",
];

/** Kinds that make relations, which then have names of this run. */
const MAKES_RELATIONS: readonly string[] = [
  ...["CreateStmt", "CreateSchemaStmt", "CreateSeqStmt", "CreateTableAsStmt", "ViewStmt"],
];

/** Kinds behind which a table that is named can be the start of locks on others. */
const LEAVES_ALONE: readonly string[] = [
  ...CHANGES_ROWS,
  ...["AlterTableStmt", "IndexStmt", "CommentStmt", "SelectStmt"],
];

/**
 * Says behind which statements the server is asked for the locks. To ask costs more the more locks there are, and a large
 * migration has thousands. So nobody asks where the text shows the locks: a statement about a table that no trigger,
 * partition, foreign key or function connects with others locks that table alone. The server still has the word: the next
 * question must find the lock. Around every other statement it is asked on both sides, so that its locks are told from those
 * of its neighbours; and behind the last one.
 */
export class Asking {
  /** The oids of before by the last part of the name; several where the schemas differ. */
  readonly #named = new Map<string, readonly Relation[]>();
  /** The names of what this run has made. */
  readonly #made = new Set<string>();
  /** The relations from which a statement may come to others. */
  readonly #connected: Set<string>;
  readonly #code: { functions: boolean; eventTriggers: boolean };
  /** The tables with foreign keys into which this transaction has inserted: the same keys are looked up each time. */
  readonly #inserted = new Set<string>();

  /** @param code the code of users that is there before */
  constructor(relations: Relations, code: Code) {
    this.#code = { ...code };
    this.#connected = new Set();
    for (const relation of relations.values()) {
      const name = relation.name.slice(relation.name.indexOf(".") + 1);
      this.#named.set(name, [...(this.#named.get(name) ?? []), relation]);
      if (relation.connected !== null) this.#connected.add(relation.oid);
    }
  }

  /** Says it of each statement of a transaction. Transactions come in their order. */
  behind(statements: readonly StatementPart[]): readonly Asked[] {
    const isAsked = statements.map((_each, index) => index === statements.length - 1);
    this.#inserted.clear();
    const group = new Group();
    const all = statements.map((part, index) => {
      const locks = this.#locksOf(part);
      const raises = locks === null ? null : group.raisedBy(locks);
      if (raises === null && kindOf(part) === "TransactionStmt") {
        group.forget();
        this.#inserted.clear();
      }
      const isSame = group.takes(raises);
      if (index > 0 && !isSame) isAsked[index - 1] = true;
      if (group.endsWith(raises)) isAsked[index] = true;
      return raises ?? new Set<string>();
    });
    return all.map((raises, index) => ({ isAsked: isAsked[index] === true, raises }));
  }

  /** Takes note that a statement was run that nobody has read: a name may now be that of another relation. */
  forgetNames(): void {
    this.#made.clear();
  }

  /** Returns the relations of before that a statement locks, each with the lock; null where its text does not show them all. */
  #locksOf(part: StatementPart): ReadonlyMap<string, LockMode> | null {
    const { touches = [] } = part.migration.statements[part.index] ?? {};
    const kind = kindOf(part) ?? "";
    const locks = this.#showsLocks(kind) ? this.#shown(kind, touches) : null;
    this.#note(kind, touches);
    return locks;
  }

  /** Whether the text of a statement of this kind shows its locks, by what code there is. */
  #showsLocks(kind: string): boolean {
    const { functions, eventTriggers } = this.#code;
    if (eventTriggers || !SHOWS_ITS_LOCKS.includes(kind)) return false;
    return !functions || ONLY_MAKES.includes(kind);
  }

  #shown(kind: string, touches: readonly Touched[]): ReadonlyMap<string, LockMode> | null {
    const locks = new Map<string, LockMode>();
    for (const touched of touches) {
      if (touched.lock === undefined) continue;
      const old = this.#oldOf(touched);
      if (old === "unclear") return null;
      if (old === null) continue;
      if (this.#connected.has(old.oid) && !this.#isRepeated(kind, old)) return null;
      locks.set(old.oid, touched.lock);
    }
    return locks;
  }

  /** Returns the relation of before that is meant; null where this run has made it. */
  #oldOf({ kind, name }: Touched): Relation | "unclear" | null {
    // Of a relation that is not named, but reached from the name, nobody knows here.
    if (kind.includes("-")) return "unclear";
    const [old, ...others] = this.#named.get(name) ?? [];
    const isMade = this.#made.has(name);
    if (old === undefined) return isMade ? null : "unclear";
    return isMade || others.length > 0 ? "unclear" : old;
  }

  /** Whether the same foreign keys were looked up before. An INSERT comes no further than to their tables. */
  #isRepeated(kind: string, { oid, connected }: Relation): boolean {
    if (kind !== "InsertStmt" || connected !== "by-keys") return false;
    if (this.#inserted.has(oid)) return true;
    this.#inserted.add(oid);
    return false;
  }

  /** Takes note of what a statement leaves for those behind it. */
  #note(kind: string, touches: readonly Touched[]): void {
    const locked = touches.filter(({ lock }) => lock !== undefined).map(({ name }) => name);
    if (!LEAVES_ALONE.includes(kind) || locked.length > 1) {
      const olds = locked.flatMap((name) => this.#named.get(name) ?? []);
      for (const { oid } of olds) this.#connected.add(oid);
    }
    if (!SHOWS_ITS_LOCKS.includes(kind) && !NAMES_STAY.includes(kind)) this.forgetNames();
    if (MAKES_RELATIONS.includes(kind)) {
      const made = touches.filter(({ lock }) => lock === undefined);
      for (const { name } of made) this.#made.add(name);
    }
    if (MAY_MAKE_CODE.includes(kind)) this.#code.functions = true;
    if (kind === "CreateEventTrigStmt") this.#code.eventTriggers = true;
  }
}

/** Statements behind which nobody asks yet. */
class Group {
  /** The strongest lock on each relation, by the texts of the transaction so far. */
  readonly #held = new Map<string, number>();
  readonly #raised = new Set<string>();
  #unasked = 0;

  /** Returns the relations whose lock becomes stronger. */
  raisedBy(locks: ReadonlyMap<string, LockMode>): ReadonlySet<string> {
    const raised = [...locks].filter(([oid, mode]) => strength(mode) > (this.#held.get(oid) ?? -1));
    for (const [oid, mode] of raised) this.#held.set(oid, strength(mode));
    return new Set(raised.map(([oid]) => oid));
  }

  /** Takes note that the transaction may have given locks back. */
  forget(): void {
    this.#held.clear();
  }

  /**
   * Takes the next statement in. False where it begins a new group: two statements that raise the lock on one relation are told
   * apart by a question between them.
   * @param raises null where nobody knows
   */
  takes(raises: ReadonlySet<string> | null): boolean {
    const isSame = raises !== null && ![...raises].some((oid) => this.#raised.has(oid));
    if (!isSame) this.#begin();
    for (const oid of raises ?? []) this.#raised.add(oid);
    this.#unasked += 1;
    return isSame;
  }

  /** Whether the group ends with the statement that it took last. */
  endsWith(raises: ReadonlySet<string> | null): boolean {
    const isOver = raises === null || this.#unasked >= MOST_UNASKED;
    if (isOver) this.#begin();
    return isOver;
  }

  #begin(): void {
    this.#raised.clear();
    this.#unasked = 0;
  }
}

/** Kinds that give no relation another name, and are asked about. */
const NAMES_STAY: readonly string[] = [
  ...["CreateTableAsStmt", "ViewStmt", "SelectStmt", "TransactionStmt", "TruncateStmt"],
  ...["AlterEnumStmt", "GrantStmt", "CreatePolicyStmt", "LockStmt", "AlterSeqStmt"],
];

/** The place of a mode among all, from the weakest. */
function strength(mode: LockMode): number {
  return LOCK_MODES.indexOf(mode);
}

function kindOf({ migration, index }: StatementPart): string | null {
  return migration.statements[index]?.kind ?? null;
}
