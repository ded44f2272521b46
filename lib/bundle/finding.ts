import type { ObjectName } from "../postgres/names.ts";
import type { TypeReference } from "../postgres/types.ts";
import type { RuleId } from "./rule-ids.ts";

/**
 * The severity of a finding. `error`: it stops traffic for as long as a table is large, loses data, breaks the code
 * that runs now, or fails. `warning`: it may do so. `note`: its author will regret it.
 */
export type Severity = (typeof SEVERITIES)[number];

/** Every severity, from the worst to the mildest. */
export const SEVERITIES = ["error", "warning", "note"] as const;

/** A finding of a rule in a statement, from its text and the texts before it. Plain data, part of the bundle. */
export interface Finding {
  readonly rule: RuleId;
  /** The severity without knowledge of the table's size. */
  readonly severity: Severity;
  /** Number of the statement in its migration, from 1. */
  readonly statement: number;
  /** From 1, in the file. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** One sentence that says the harm, and who suffers it. */
  readonly message: string;
  /** SQL that does the same safely, with the names of this statement. */
  readonly rewrite: string;
  /** The table, if it existed before the statement; null for a finding about no table. */
  readonly table: ObjectName | null;
  /**
   * Tag of the earlier migration of this bundle that creates the table; null when no migration creates it, or when it
   * does not matter. If both migrations are deployed together, the table is still empty, and the finding does not
   * count.
   */
  readonly createdIn: string | null;
  /** The question about it that the catalog of a live database can answer; null without one. */
  readonly asks: Question | null;
}

/** A question that only the catalog can answer. */
export type Question =
  /** How large is the table, and so how long does it take? Of an index, its table is looked up. */
  | { readonly kind: "scan"; readonly index: ObjectName | null }
  /** How many rows are there to lose? */
  | { readonly kind: "loss" }
  /** Which sessions use the table now, and would be hurt? */
  | { readonly kind: "use" }
  /** Does PostgreSQL rewrite the table for this change of type? */
  | { readonly kind: "type-change"; readonly column: string; readonly type: TypeReference }
  /** Does a validated CHECK prove that the column has no nulls? */
  | { readonly kind: "not-null"; readonly column: string }
  /** Is this extension available? */
  | { readonly kind: "extension"; readonly name: string }
  /** Is this function volatile? */
  | { readonly kind: "volatility"; readonly routine: ObjectName };

/** A finding as a report carries it. */
export interface ReportedFinding {
  readonly rule: RuleId;
  /** The severity by all known facts, those of a database's catalog included. */
  readonly severity: Severity;
  /**
   * False where the answer of the database's catalog decides on the severity, and nobody has asked: then the severity is that
   * of a large table in use. Absent otherwise.
   */
  readonly graded?: false;
  /** Tag of the migration. */
  readonly migration: string;
  readonly statement: number;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly rewrite: string;
  /** The database's evidence: `the table has 4.1 GB, read by 3 sessions now`; null when no database was asked. */
  readonly evidence: string | null;
}

/** Returns the findings of the migrations that are deployed together, in their order. */
export function findingsOf(
  migrations: readonly { readonly tag: string; readonly findings: readonly Finding[] }[],
): readonly PlacedFinding[] {
  const together = new Set(migrations.map(({ tag }) => tag));
  return migrations.flatMap(({ tag, findings }) =>
    findings
      .filter(({ createdIn }) => createdIn === null || !together.has(createdIn))
      .map((finding) => ({ tag, finding })),
  );
}

/** A finding and the tag of its migration. */
export interface PlacedFinding {
  readonly tag: string;
  readonly finding: Finding;
}

/** Describes a finding, as a report does. */
export function describeFinding(
  { tag, finding }: PlacedFinding,
  grade: { readonly severity: Severity; readonly evidence: string | null } = {
    severity: finding.severity,
    evidence: null,
  },
): ReportedFinding {
  const { rule, statement, line, column, message, rewrite } = finding;
  const { severity, evidence } = grade;
  return { rule, severity, migration: tag, statement, line, column, message, rewrite, evidence };
}

/** Counts the findings of each severity. */
export function countFindings(
  findings: readonly { readonly severity: Severity }[],
): Readonly<Record<Severity, number>> {
  const count = (severity: Severity): number =>
    findings.filter((each) => each.severity === severity).length;
  return { error: count("error"), warning: count("warning"), note: count("note") };
}
