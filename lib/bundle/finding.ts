import type { ObjectName } from "../postgres/names.ts";
import type { TypeReference } from "../postgres/types.ts";
import type { RuleId } from "./rule-ids.ts";

/**
 * How bad a finding is. `error`: it stops traffic for as long as a table is large, loses data, breaks the
 * code that runs now, or fails. `warning`: it may. `note`: it will be regretted.
 */
export type Severity = (typeof SEVERITIES)[number];

/** From the worst to the mildest. */
export const SEVERITIES = ["error", "warning", "note"] as const;

/** What a rule has found in a statement, from its text and those before it: plain data, part of the bundle. */
export interface Finding {
  readonly rule: RuleId;
  /** Without knowing how large the table is. */
  readonly severity: Severity;
  /** Number of the statement in its migration, from 1. */
  readonly statement: number;
  /** From 1, in the file. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** One sentence: what happens, and to whom. */
  readonly message: string;
  /** SQL that does the same safely, with the names of this statement. */
  readonly rewrite: string;
  /** The table that was there before; null where the finding is about none. */
  readonly table: ObjectName | null;
  /**
   * Tag of the earlier migration of this bundle that creates the table. Where that one is deployed together with
   * this one the table is still empty, and nothing is found. Null: no migration creates it, or it does not matter.
   */
  readonly createdIn: string | null;
  /** What the catalog of a live database can say about it; null for nothing. */
  readonly asks: Question | null;
}

/** What only the catalog knows. */
export type Question =
  /** How long does it take: how large is the table? For an index its table is looked up. */
  | { readonly kind: "scan"; readonly index: ObjectName | null }
  /** How much is lost: how many rows are there? */
  | { readonly kind: "loss" }
  /** Who is hurt: who uses the table now? */
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
  /** By all that is known: with a database, its catalog included. */
  readonly severity: Severity;
  /** Tag of the migration. */
  readonly migration: string;
  readonly statement: number;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly rewrite: string;
  /** What the database says about it: `the table has 4.1 GB, read by 3 sessions now`; null where none was asked. */
  readonly evidence: string | null;
}

/** The findings of the migrations that are deployed together, in their order. */
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

/** What a report says of a finding. */
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

/** How many there are of each severity. */
export function countFindings(
  findings: readonly { readonly severity: Severity }[],
): Readonly<Record<Severity, number>> {
  const count = (severity: Severity): number =>
    findings.filter((each) => each.severity === severity).length;
  return { error: count("error"), warning: count("warning"), note: count("note") };
}
