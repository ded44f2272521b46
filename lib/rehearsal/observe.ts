import type { Observe } from "../connection/connection.ts";
import type { Sending, TextRow } from "../connection/pipeline.ts";
import type { Part } from "../execute/transaction.ts";
import { LOCK_MODES, type LockMode } from "../postgres/locks.ts";
import type { StatementAt } from "../report/rehearsed.ts";
import { askedBehind, type Questions, questionsAbout, type StatementPart } from "./questions.ts";
import type { Relations } from "./relations.ts";

/** The state of a transaction at one moment, by the server's own word. */
export interface Moment {
  /** The statement that had ended; null before the first one, and behind the COMMIT. */
  readonly at: StatementAt | null;
  /** When the server came to the question, ms since 1970, by its clock. */
  readonly askedMs: number;
  /** When it had answered. */
  readonly answeredMs: number;
  /** Position in the write-ahead log, in bytes; null where the role may not ask. */
  readonly wal: bigint | null;
  /** The locks on relations of before that our transaction holds, by oid; null where nobody asked for them. */
  readonly locks: ReadonlyMap<string, readonly LockMode[]> | null;
  /** The present files of the relations that are locked against everybody, by oid. */
  readonly filenodes: ReadonlyMap<string, string>;
}

/** The moments of one transaction that has come to its COMMIT, in order; the last is behind the COMMIT. */
export type ObservedTransaction = readonly Moment[];

/**
 * Watches the transactions of a run: it puts a question behind each statement, into the same series, so that it costs no
 * round trip. Locks are held until the end of the transaction, so none is missed between two questions. It asks for our
 * own locks only, which everybody may see.
 */
export class Observer {
  readonly #relations: Relations;
  readonly #questions: Questions;
  readonly #transactions: ObservedTransaction[] = [];
  /** A part of the names under which the server keeps the questions. */
  #epoch = 0;

  /** @param readsWal whether the role may ask for the position in the write-ahead log */
  constructor(relations: Relations, readsWal = true) {
    this.#relations = relations;
    this.#questions = questionsAbout(relations, readsWal);
  }

  /** The transactions that were committed, in order. One that was rolled back is not among them. */
  get transactions(): readonly ObservedTransaction[] {
    return this.#transactions;
  }

  /** Puts the questions into the series of a transaction. */
  readonly observe: Observe = (series) => {
    const parts: readonly (Sending | Part)[] = series;
    const first = parts.findIndex(isWork);
    if (first < 0) return series;
    const statements = parts.slice(first).filter(isStatement);
    const asked = askedBehind(statements, this.#relations);
    const isDue = new Set(statements.filter((_statement, index) => asked[index]));
    const moments: Moment[] = [];
    const keep = (moment: Moment) => moments.push(moment);
    this.#epoch += 1;
    return parts.flatMap((part, index): readonly Sending[] => {
      if (isCommit(part)) {
        const end = (moment: Moment) => this.#transactions.push([...moments, moment]);
        return [part, this.#ask("clock", null, end)];
      }
      const before = index === first ? [this.#ask("clock", null, keep)] : [];
      if (index < first || !isStatement(part)) return [...before, part];
      if (forgetsNames(part)) this.#epoch += 1;
      const at = { migration: part.migration.tag, statement: part.index + 1 };
      return [...before, part, this.#ask(isDue.has(part) ? "locks" : "clock", at, keep)];
    });
  };

  #ask(kind: keyof Questions, at: StatementAt | null, tell: (moment: Moment) => void): Sending {
    return {
      ...this.#questions[kind],
      name: `neon_migrate_${kind}_${this.#epoch}`,
      mayLag: true,
      onRows: ([row = []]) => tell(readMoment(at, row, kind === "locks" ? this.#relations : null)),
    };
  }
}

function isStatement(part: Sending | Part): part is StatementPart {
  return "kind" in part && part.kind === "statement";
}

function isCommit(part: Sending | Part): boolean {
  return "kind" in part && part.kind === "commit";
}

/**
 * Whether a statement may have a question before it. The first words of a transaction about the transaction itself may not:
 * `SET TRANSACTION` must come before any query.
 */
function isWork(part: Sending | Part): boolean {
  return isStatement(part) && kindOf(part) !== "VariableSetStmt";
}

/** Whether a statement makes the server forget the texts that it keeps by name. */
function forgetsNames(part: StatementPart): boolean {
  return ["DeallocateStmt", "DiscardStmt"].includes(kindOf(part) ?? "");
}

function kindOf({ migration, index }: StatementPart): string | undefined {
  return migration.statements[index]?.kind;
}

/** @param relations null where the answer has no locks */
function readMoment(at: StatementAt | null, row: TextRow, relations: Relations | null): Moment {
  const [asked, wal = null, answered, locks, files] = row;
  const known = (list: string | null | undefined) =>
    pairs(list).filter(([oid]) => relations?.has(oid) === true);
  const held = new Map<string, readonly LockMode[]>();
  for (const [oid, mode] of known(locks)) {
    held.set(oid, [...(held.get(oid) ?? []), lockMode(mode)]);
  }
  return {
    ...{ at, askedMs: Number(asked), answeredMs: Number(answered) },
    wal: wal === null ? null : position(wal),
    locks: relations === null ? null : held,
    filenodes: new Map(known(files)),
  };
}

function pairs(list: string | null | undefined): readonly (readonly [string, string])[] {
  if (list === null || list === undefined) return [];
  return list.split(",").map((pair) => {
    const [oid = "", word = ""] = pair.split(":");
    return [oid, word] as const;
  });
}

/** Reads `16/B374D848`: the upper and the lower 32 bits of a position, in hex (PostgreSQL documentation, "pg_lsn"). */
function position(lsn: string): bigint {
  const [upper = "0", lower = "0"] = lsn.split("/");
  return (BigInt(`0x${upper}`) << 32n) | BigInt(`0x${lower}`);
}

/** Reads the name of a mode as pg_locks has it: `AccessExclusiveLock` is ACCESS EXCLUSIVE. */
function lockMode(name: string): LockMode {
  const plain = name.replace(/Lock$/, "").toLowerCase();
  const found = LOCK_MODES.find((mode) => mode.replaceAll(" ", "").toLowerCase() === plain);
  if (found === undefined) throw new Error(`PostgreSQL has no table lock ${name}.`);
  return found;
}
