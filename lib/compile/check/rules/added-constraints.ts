import { type ObjectName, quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import { clauseAt } from "../../sql/clause.ts";
import {
  type AlterCommand,
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
  /**
   * What must come first: the statements that add its columns, without the constraints that the rules are about, or a word
   * that the rewrite of an earlier constraint adds them. Null where the columns are there.
   */
  readonly addColumn: string | null;
  /** The name of the new column whose definition holds it; empty for a constraint that stands alone. */
  readonly column: string;
}

/** A constraint, and the definition of the new column that holds it. */
interface Found {
  readonly constraint: Node;
  readonly column: Node | null;
}

/**
 * Returns the added constraints of one type that PostgreSQL checks against the rows of the table. A constraint that is NOT
 * VALID or made from an index is left out.
 */
export function addedConstraints(
  node: Node,
  sql: string,
  table: ObjectName,
  contype: string,
): readonly Added[] {
  const commands = alterCommands(node);
  const found = commands.flatMap(constraintsOf);
  const isWanted = ({ constraint }: Pick<Found, "constraint">) => constraint.contype === contype;
  if (!found.some(isWanted)) return [];
  const adding = adder(commands, sql, table);
  return found.map((each) => adding(describeAdded(each, sql, table))).filter(isWanted);
}

function constraintsOf(command: AlterCommand): readonly Found[] {
  const single = addedConstraint(command);
  const column = addedColumn(command);
  const constraints = single ?? (column === null ? [] : columnConstraints(column));
  return [constraints]
    .flat()
    .filter((each) => each.skip_validation !== true && each.indexname === undefined)
    .filter((each) => SUFFIXES[text(each.contype)] !== undefined)
    .filter((each) => column === null || readsRows(each, column))
    .map((constraint) => ({ constraint, column }));
}

/** Each new column is added once, by the rewrite of the first constraint that needs it. */
function adder(
  commands: readonly AlterCommand[],
  sql: string,
  table: ObjectName,
): (described: Omit<Added, "addColumn">) => Added {
  const added = new Set<string>();
  const definitions = new Map(
    commands.flatMap((command) => {
      const column = addedColumn(command);
      if (column === null) return [];
      return [[text(column.colname), () => addStatement(command, column, sql, table)] as const];
    }),
  );
  return (described) => {
    const names = described.column === "" ? described.columns : [described.column];
    const before = names.flatMap((name) => {
      const statement = definitions.get(name);
      if (statement === undefined) return [];
      if (added.has(name)) return [`-- Behind the statement that adds ${quoteIdentifier(name)}:`];
      added.add(name);
      return [statement()];
    });
    return { ...described, addColumn: before.length === 0 ? null : before.join("\n") };
  };
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

const NAMED = /^constraint\s+(?:"(?:[^"]|"")+"|\S+)\s+/i;

function describeAdded(
  { constraint, column }: Found,
  sql: string,
  table: ObjectName,
): Omit<Added, "addColumn"> {
  const inline = column === null ? [] : [text(column.colname)];
  const keys = [...strings(constraint.keys), ...strings(constraint.fk_attrs)];
  const columns = keys.length > 0 ? keys : inline;
  const kind = text(constraint.contype);
  const parts = [table.name, ...(kind === "CONSTR_PRIMARY" ? [] : columns), SUFFIXES[kind] ?? ""];
  const at = Number(constraint.location ?? 0);
  const clause = inlineClause(clauseAt(sql, at).replace(NAMED, ""), column);
  const name = text(constraint.conname) || parts.join("_");
  return { constraint, clause, name, columns, at, column: inline[0] ?? "" };
}

/** Writes the statement that adds a column without the constraints that the rules are about. */
function addStatement(command: AlterCommand, column: Node, sql: string, table: ObjectName): string {
  let definition = clauseAt(sql, Number(column.location ?? 0));
  const { length } = definition;
  // From the last one to the first, so that the places before stay.
  for (const { constraint } of constraintsOf(command).toReversed()) {
    const behind = clauseAt(sql, Number(constraint.location ?? 0));
    const named = NAMED.exec(behind)?.[0] ?? "";
    const own = inlineClause(behind.slice(named.length), column);
    const start = length - behind.length;
    const around = [
      definition.slice(0, start),
      definition.slice(start + named.length + own.length),
    ];
    definition = around
      .map((part) => part.trim())
      .join(" ")
      .trim();
  }
  return `ALTER TABLE ${quoteName(table)} ADD COLUMN ${definition};`;
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
