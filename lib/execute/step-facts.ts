import { type Migration, statementText } from "../bundle/bundle.ts";
import { type Slice, type Step, setsTransaction } from "../bundle/steps.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError } from "../errors.ts";
import { setsLockTimeout } from "./session-reset.ts";

/** A step that is a transaction. */
export type TransactionStep = Step & { readonly kind: "transaction" };

/**
 * Whether the catalog can tell afterwards what became of a statement that stands alone. Then its record may travel with
 * the transaction behind it.
 */
export function isFindable({ statements }: Migration, index: number): boolean {
  const effect = statements[index]?.effect ?? { kind: "unknown" };
  if (effect.kind === "builds-index") return effect.from !== undefined;
  return effect.kind !== "unknown";
}

/** Whether no statement of its file stands before this slice. */
export function isAtHead({ migration, statements: [first] }: Slice): boolean {
  return migration.statements.slice(0, first).every(({ mode }) => mode === "begin");
}

/** Whether the file has set its own lock time-out before this slice. */
export function waitsItsOwn({ migration, statements: [first = 0] }: Slice): boolean {
  return setsLockTimeout(migration, first);
}

/**
 * Returns the settings at the head of a slice, up to its last SET TRANSACTION: PostgreSQL takes that in front of every
 * query only.
 */
export function headOf({ migration, statements }: Slice): readonly number[] {
  const settings: number[] = [];
  let length = 0;
  for (const index of statements) {
    const statement = migration.statements[index];
    if (statement?.kind !== "VariableSetStmt") break;
    settings.push(index);
    if (setsTransaction(statement, () => statementText(migration, statement))) {
      length = settings.length;
    }
  }
  return settings.slice(0, length);
}

/** Whether the author wants the transaction read-only. @param head as `headOf` returns it */
export function isReadOnly(
  { begin = "", slices: [first] }: TransactionStep,
  head: readonly number[],
): boolean {
  const texts = head.flatMap((index) => {
    const statement = first?.migration.statements[index];
    return first === undefined || statement === undefined
      ? []
      : [statementText(first.migration, statement)];
  });
  return [begin, ...texts].some((text) => /\bread\s+only\b/i.test(text));
}

/** Whether a transaction, or a file with its default for all, may have one snapshot from beginning to end. */
export function hasOneSnapshot(begin: readonly Sending[], { sql }: Migration): boolean {
  const [first] = begin;
  if (first?.text.includes("read committed")) return false;
  return /\brepeatable\s+read\b|\bserializable\b/i.test(
    [sql, ...begin.map(({ text }) => text)].join(" "),
  );
}

/** Whether the beginning of a transaction sets a role itself: nobody can ask for it before. */
export function setsRole(begin: readonly Sending[]): boolean {
  return begin.some(({ text }) => /\brole\b|\bsession[\s_]+authorization\b/i.test(text));
}

/** Adds the statements that stay done to the error of a migration whose earlier steps are committed. */
export function withProgress(thrown: unknown, slices: readonly Slice[]): unknown {
  if (!(thrown instanceof MigratorError)) return thrown;
  const slice = slices.find(({ migration }) => migration.tag === thrown.facts.migration);
  const first = slice?.statements[0] ?? 0;
  if (slice === undefined || first === 0) return thrown;
  const total = slice.migration.statements.length;
  const [stays, them] =
    first === 1
      ? [`Statement 1 of ${total} is done and stays done;`, "it"]
      : [`Statements 1 to ${first} of ${total} are done and stay done;`, "them"];
  // The record of the last one may have travelled with what was lost.
  const next =
    thrown.code === "CONNECTION_LOST"
      ? "the ledger says where the next run goes on."
      : `the next run goes on behind ${them}.`;
  return new MigratorError(thrown.code, `${thrown.message} ${stays} ${next}`, thrown.facts);
}
