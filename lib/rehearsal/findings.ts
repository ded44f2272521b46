import type { Finding } from "../bundle/finding.ts";
import type { RuleId } from "../bundle/rule-ids.ts";
import type { ObjectName } from "../postgres/names.ts";
import type { Rewrite, SeenFinding, StatementAt } from "../report/rehearsed.ts";
import type { Report } from "../report/report.ts";
import { type Look, looksOf, strongest } from "./looks.ts";
import type { ObservedTransaction } from "./observe.ts";
import type { Relation, Relations } from "./relations.ts";
import { isAtLeast } from "./standstill.ts";

/** The harm that a rule speaks of: whose work waits, or that a table is written anew. */
type Harm = "reads" | "writes" | "rewrite";

/** The rules that speak of a lock or of a rewrite. Of the others a rehearsal sees nothing. */
export const HARMS: Readonly<Partial<Record<RuleId, Harm>>> = {
  "index-not-concurrent": "writes",
  "index-dropped-not-concurrent": "reads",
  "reindex-not-concurrent": "writes",
  "check-without-not-valid": "reads",
  "foreign-key-without-not-valid": "writes",
  "unique-constraint-without-index": "reads",
  "exclusion-constraint": "reads",
  "not-null-without-check": "reads",
  "validated-in-same-transaction": "writes",
  "volatile-default": "rewrite",
  "stored-generated-column": "rewrite",
  "column-type-changed": "rewrite",
  "backfill-with-ddl": "writes",
  "several-exclusive-locks": "reads",
  "vacuum-full-or-cluster": "rewrite",
};

/** The things that were seen of a run. */
interface Seen {
  readonly transactions: readonly ObservedTransaction[];
  readonly relations: Relations;
  readonly rewrites: readonly Rewrite[];
}

/**
 * Holds the findings of `check` against what was seen.
 * @param all those of their migrations in the bundle, by its tag: they know their tables
 */
export function seenFindings(
  reported: Report["findings"],
  all: ReadonlyMap<string, readonly Finding[]>,
  seen: Seen,
): readonly SeenFinding[] {
  return reported.map(({ rule, migration, statement, line, column }) => {
    const at = { migration, statement };
    const found = all
      .get(migration)
      ?.find((each) => each.rule === rule && each.line === line && each.column === column);
    const harm = HARMS[rule];
    const isSeen = harm === undefined ? null : isHarmSeen(harm, at, found?.table ?? null, seen);
    return { rule, ...at, seen: isSeen };
  });
}

/** @returns null where the statement has not come to its COMMIT */
function isHarmSeen(
  harm: Harm,
  at: StatementAt,
  table: ObjectName | null,
  { transactions, relations, rewrites }: Seen,
): boolean | null {
  const look = transactions.flatMap(looksOf).findLast(({ statements }) => {
    return statements.some((ran) => isSame(ran.at, at));
  });
  if (look === undefined) return null;
  if (harm === "rewrite") {
    return rewrites.some(
      ({ by, relation: name, kind }) => isSame(by, at) && isTable({ name, kind }, table),
    );
  }
  return [...relations.values()].some(
    (relation) => isTable(relation, table) && keepsOut(look, relation, harm),
  );
}

function keepsOut({ locks }: Look, { oid }: Relation, harm: "reads" | "writes"): boolean {
  return isAtLeast(strongest(locks.get(oid) ?? []), harm);
}

/** @param meant null: any table */
function isTable(
  { kind, name }: Pick<Relation, "kind" | "name">,
  meant: ObjectName | null,
): boolean {
  if (kind === "index") return false;
  if (meant === null) return true;
  return meant.schema === null
    ? name.endsWith(`.${meant.name}`)
    : name === `${meant.schema}.${meant.name}`;
}

function isSame(one: StatementAt, other: StatementAt): boolean {
  return one.migration === other.migration && one.statement === other.statement;
}
