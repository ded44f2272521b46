import type { Connection, SessionObserver, Whereabouts } from "../connection/connection.ts";
import type { Sending } from "../connection/pipeline.ts";
import type { Part } from "../execute/transaction.ts";
import type { StatementAt } from "../report/rehearsed.ts";
import { type Asked, Asking, type StatementPart } from "./asking.ts";
import { type Moment, readAnswer } from "./moment.ts";
import { type Questions, questionsAbout, samplingOf } from "./questions.ts";
import type { ObserverFacts, Relations } from "./relations.ts";

/** One transaction that has come to its COMMIT, or one statement outside of any. */
export interface ObservedTransaction {
  /** In order; the last is behind the COMMIT. */
  readonly moments: readonly Moment[];
  /** How often the locks of a statement outside a transaction were asked for, from beside; null in a transaction. */
  readonly samples: number | null;
}

/**
 * Watches the transactions of a run: it puts a question behind each statement, into the same series, so that it costs no
 * round trip. Locks are held until the end of the transaction, so none is missed between two questions. It asks for our
 * own locks only, which everybody may see.
 */
export class Observer implements SessionObserver {
  readonly #relations: Relations;
  readonly #questions: Questions;
  readonly #asking: Asking;
  readonly #readsWal: boolean;
  readonly #transactions: ObservedTransaction[] = [];
  /** A part of the names under which the server keeps the questions. */
  #epoch = 0;

  constructor(relations: Relations, { code, readsWal }: ObserverFacts) {
    this.#relations = relations;
    this.#readsWal = readsWal;
    this.#asking = new Asking(relations, code);
    this.#questions = questionsAbout(relations, readsWal);
  }

  /** The transactions that were committed, in order. One that was rolled back is not among them. */
  get transactions(): readonly ObservedTransaction[] {
    return this.#transactions;
  }

  /** Puts the questions into the series of a transaction. */
  readonly observe: SessionObserver["observe"] = (series) => {
    const parts: readonly (Sending | Part)[] = series;
    const first = parts.findIndex(isWork);
    if (first < 0) return series;
    const statements = parts.slice(first).filter(isStatement);
    const asked = this.#asking.behind(statements);
    const askedOf = new Map(statements.map((statement, index) => [statement, asked[index]]));
    const moments: Moment[] = [];
    const keep = (moment: Moment) => moments.push(moment);
    this.#epoch += 1;
    return parts.flatMap((part, index): readonly Sending[] => {
      if (isCommit(part)) {
        const end = (moment: Moment) =>
          this.#transactions.push({ moments: [...moments, moment], samples: null });
        return [part, this.#ask(null, undefined, end)];
      }
      const before = index === first ? [this.#ask(null, undefined, keep)] : [];
      if (index < first || !isStatement(part)) return [...before, part];
      if (forgetsNames(part)) this.#epoch += 1;
      const at = { migration: part.migration.tag, statement: part.index + 1 };
      return [...before, part, this.#ask(at, askedOf.get(part), keep)];
    });
  };

  /** Samples the locks of a statement outside a transaction from beside. */
  async alone(
    connection: Connection,
    { migration, index }: Whereabouts,
    run: () => Promise<void>,
  ): Promise<void> {
    this.#asking.forgetNames();
    const { sampleWhile } = await import("./sample.ts");
    const at = { migration, statement: index + 1 };
    const questions = samplingOf(connection.backendPid, this.#relations, this.#readsWal);
    const sampling = { at, questions, relations: this.#relations };
    this.#transactions.push(await sampleWhile(connection, sampling, run));
  }

  #ask(at: StatementAt | null, asked: Asked | undefined, tell: (moment: Moment) => void): Sending {
    const kind = asked?.isAsked === true ? "locks" : "clock";
    const relations = kind === "locks" ? this.#relations : null;
    const raises = asked?.raises ?? NOTHING;
    return {
      ...this.#questions[kind],
      name: `neon_migrate_${kind}_${this.#epoch}`,
      mayLag: true,
      onRows: ([row = []]) => tell({ at, raises, ...readAnswer(row, relations) }),
    };
  }
}

const NOTHING: ReadonlySet<string> = new Set();

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
