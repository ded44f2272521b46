import { type Migration, statementText } from "../../lib/bundle/bundle.ts";
import type { Report, ReportedCut, ReportedStep } from "../../lib/report/report.ts";
import { oneLine } from "../../lib/text.ts";

/** Finds a migration of the bundle by its tag; undefined where no bundle is at hand. */
type Find = (tag: string) => Migration | undefined;

/** Says why a commit falls between two steps. */
export function whyCommitted(
  before: ReportedStep,
  step: ReportedStep,
  cuts: readonly ReportedCut[],
  find: Find,
): string {
  const cut = cuts.find((each) => isBetween(each, before, step));
  if (cut !== undefined) return whyCut(cut, find);
  const last = before.slices.at(-1);
  if (before.kind === "alone" && last !== undefined) {
    return `${commandAt(find(last.migration), last.statements[0] ?? 1)} commits by itself`;
  }
  return last?.migration === step.slices[0]?.migration
    ? "its author's COMMIT ends the transaction"
    : "each migration has a transaction of its own";
}

function isBetween(cut: ReportedCut, before: ReportedStep, { slices }: ReportedStep): boolean {
  const next = slices.find(({ statements }) => statements.length > 0);
  if (next?.migration !== cut.migration) return false;
  const last = before.slices.findLast(({ statements }) => statements.length > 0);
  const from = last?.migration === cut.migration ? (last.statements.at(-1) ?? 0) : 0;
  return cut.statement > from && cut.statement <= (next.statements[0] ?? 0);
}

/** Says why a transaction must end before a statement. */
export function whyCut({ migration, statement, reason }: ReportedCut, find: Find): string {
  const found = find(migration);
  switch (reason) {
    case "not-transactional":
      return found?.directives?.noTransaction === true
        ? "the file asks for no transaction (neon-migrate: no-transaction)"
        : `${commandAt(found, statement)} cannot run in a transaction`;
    case "transaction-control":
      return "the file begins or ends transactions itself";
    case "new-enum-value":
      return `statement ${statement} uses an enum value that is new, which PostgreSQL allows only behind a commit`;
    case "pending-trigger-events":
      return `constraints that were put off wait for it before statement ${statement}`;
    default:
      return reason;
  }
}

/** Says who applies a plan and, where it is not Drizzle's own migrator, why not. */
export function whoApplies(
  { executor, executorReason, pending, cuts }: Omit<Report, "error">,
  find: Find,
): string {
  if (executor !== "statements" || executorReason === null) return "by Drizzle's own migrator";
  const subject =
    pending.find(({ reasons }) => reasons.includes(executorReason))?.tag ?? "a migration";
  const cut = cuts.find(
    ({ reason, migration }) => reason === executorReason && migration === subject,
  );
  const drizzle = "statement by statement: Drizzle's migrator";
  const reasons: Readonly<Record<string, string>> = {
    "not-transactional": `${drizzle} cannot run ${cut === undefined ? "every statement" : commandAt(find(cut.migration), cut.statement)} (${subject})`,
    "transaction-control": `${drizzle} cannot run a file that begins or ends transactions itself (${subject})`,
    "new-enum-value": `${drizzle} has one transaction for everything, in which a new enum value cannot be used (${subject})`,
    "pending-trigger-events": `${drizzle} has one transaction for everything, and ${subject} needs a commit before it goes on`,
    "out-of-order": `${drizzle} would skip ${subject} in silence, because a newer one is applied`,
    "behind-watermark": `${drizzle} would skip ${subject} in silence, because one with the same time is applied`,
    "half-applied": `${drizzle} would begin ${subject} anew, which is half applied`,
    "named-ledger": `${drizzle} 0.x would leave out the names that this ledger of Drizzle 1.0 needs`,
    "schema-creation-blocked": `${drizzle} would create the ledger's schema at each run, and this role may not`,
    requested: "statement by statement, as asked for (--executor statements)",
  };
  return reasons[executorReason] ?? `statement by statement (${executorReason})`;
}

/** The words of a command before it comes to names. */
const COMMAND =
  /^(?:(?:alter|call|cluster|concurrently|create|database|drop|index|materialized|recursive|refresh|reindex|schema|subscription|system|table|tablespace|unique|vacuum|view)\b\s*)+/i;

/** Names a statement by its first words: `CREATE INDEX CONCURRENTLY`. @param number from 1 */
function commandAt(migration: Migration | undefined, number: number): string {
  const statement = migration?.statements[number - 1];
  if (migration === undefined || statement === undefined) return `statement ${number}`;
  const text = statementText(migration, statement);
  const [words] = COMMAND.exec(text) ?? [];
  if (words === undefined) return `statement ${number}`;
  const command = oneLine(words.replace(/\s+/g, " ").trim().toUpperCase());
  const hidden = /\bconcurrently\b/i.test(text) && !command.includes("CONCURRENTLY");
  return hidden ? `${command} … CONCURRENTLY` : command;
}
