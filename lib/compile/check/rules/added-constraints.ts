import { type ObjectName, quoteName } from "../../../postgres/names.ts";
import { clauseAt } from "../../sql/clause.ts";
import {
  addedColumn,
  addedConstraint,
  alterCommands,
  columnConstraints,
  type Node,
  strings,
  text,
} from "../../sql/tree.ts";

/** A constraint that an ALTER TABLE adds to a table. */
export interface Added {
  readonly constraint: Node;
  /** The constraint as it was written, without its name. */
  readonly clause: string;
  /** The name as it was written, else the name that PostgreSQL would choose. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly at: number;
  /** The statement that adds the new column without this constraint; null for a constraint that stands alone. */
  readonly addColumn: string | null;
  /** The new column's name; empty for a constraint that stands alone. */
  readonly column: string;
}

/**
 * Returns the added constraints that PostgreSQL checks against the rows of the table. A constraint that is NOT VALID
 * or made from an index is left out.
 */
export function addedConstraints(node: Node, sql: string, table: ObjectName): readonly Added[] {
  return alterCommands(node).flatMap((command) => {
    const single = addedConstraint(command);
    const column = addedColumn(command);
    const constraints =
      single === null ? (column === null ? [] : columnConstraints(column)) : [single];
    return constraints
      .filter((each) => each.skip_validation !== true && each.indexname === undefined)
      .filter((each) => column === null || readsRows(each, column))
      .map((constraint) => describeAdded(constraint, column, sql, table));
  });
}

/** Whether PostgreSQL reads the rows. The foreign key of a new column without a default is not compared. */
function readsRows({ contype }: Node, column: Node): boolean {
  if (contype !== "CONSTR_FOREIGN") return true;
  return columnConstraints(column).some((each) => each.contype === "CONSTR_DEFAULT");
}

const SUFFIXES: Readonly<Record<string, string>> = {
  CONSTR_CHECK: "check",
  CONSTR_FOREIGN: "fkey",
  CONSTR_UNIQUE: "key",
  CONSTR_PRIMARY: "pkey",
  CONSTR_EXCLUSION: "excl",
};

function describeAdded(
  constraint: Node,
  column: Node | null,
  sql: string,
  table: ObjectName,
): Added {
  const inline = column === null ? [] : [text(column.colname)];
  const keys = [...strings(constraint.keys), ...strings(constraint.fk_attrs)];
  const columns = keys.length > 0 ? keys : inline;
  const kind = text(constraint.contype);
  const parts = [table.name, ...(kind === "CONSTR_PRIMARY" ? [] : columns), SUFFIXES[kind] ?? ""];
  const at = Number(constraint.location ?? 0);
  const clause = clauseAt(sql, at).replace(/^constraint\s+(?:"(?:[^"]|"")+"|\S+)\s+/i, "");
  const name = text(constraint.conname) || parts.join("_");
  const own = inlineClause(clause, column);
  const described = { constraint, clause: own, name, columns, at, column: inline[0] ?? "" };
  return {
    ...described,
    addColumn: column === null ? null : withoutClause(column, own, sql, table),
  };
}

function withoutClause(column: Node, clause: string, sql: string, table: ObjectName): string {
  const source = clauseAt(sql, Number(column.location ?? 0));
  const start = source.indexOf(clause);
  const rest = `${source
    .slice(0, start)
    .replace(/\bconstraint\s+\S+\s*$/i, "")
    .trimEnd()}${source.slice(start + clause.length)}`;
  return `ALTER TABLE ${quoteName(table)} ADD COLUMN ${start < 0 ? source : rest};`;
}

/** UNIQUE or PRIMARY KEY of a column, with all words that belong to it. */
const OWN_INDEX =
  /^(?:unique(?:\s+nulls\s+(?:not\s+)?distinct)?|primary\s+key)(?:\s+with\s*\([^)]*\))?(?:\s+using\s+index\s+tablespace\s+\S+)?(?:\s+(?:not\s+)?deferrable)?(?:\s+initially\s+\w+)?/i;

/** Cuts off the other constraints of a column, which stand behind this one up to the comma. */
function inlineClause(clause: string, column: Node | null): string {
  if (column === null) return clause;
  const check = /^check\s*\(/i.exec(clause);
  if (check !== null) {
    const open = check[0].length;
    return clause.slice(0, open + clauseLength(clause.slice(open)) + 1);
  }
  const word = OWN_INDEX.exec(clause)?.[0];
  if (word !== undefined) return word;
  return (
    /^references\s+\S+\s*(?:\([^)]*\))?(?:\s+on\s+(?:delete|update)\s+(?:cascade|restrict|no\s+action|set\s+(?:null|default)))*(?:\s+(?:not\s+)?deferrable)?(?:\s+initially\s+\w+)?/i.exec(
      clause,
    )?.[0] ?? clause
  );
}

function clauseLength(inside: string): number {
  let depth = 0;
  for (const [at, character] of Array.from(inside).entries()) {
    if (character === "(") depth += 1;
    if (character === ")") depth -= 1;
    if (depth < 0) return at;
  }
  return inside.length;
}
