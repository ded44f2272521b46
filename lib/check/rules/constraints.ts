import type { ObjectName } from "../../bundle.ts";
import type { Question } from "../../findings.ts";
import { quoteIdentifier } from "../../quote.ts";
import type { Checked, Problem, Rule } from "../rule.ts";
import { clauseAt } from "../source.ts";
import {
  addedColumn,
  addedConstraint,
  alterCommands,
  columnConstraints,
  keyOf,
  type Node,
  relation,
  sqlName,
  strings,
  text,
} from "../tree.ts";

const SCAN: Question = { kind: "scan", index: null };

/** Rules about constraints that make PostgreSQL read a whole table under a strong lock. */
export const CONSTRAINT_RULES: readonly Rule[] = [
  {
    id: "check-without-not-valid",
    severity: "error",
    summary:
      "Adding a CHECK reads the whole table while nobody else may read or write it, unless it is added NOT VALID and validated later.",
    kinds: ["AlterTableStmt"],
    check: (statement) =>
      constraintProblems(statement, "CONSTR_CHECK", (table, { clause, name, at, addColumn }) => ({
        message: `${sqlName(table)} is read from end to end under an ACCESS EXCLUSIVE lock to check ${quoteIdentifier(name)}.`,
        rewrite: apart(addColumn, notValid(table, name, clause)),
        at,
      })),
  },
  {
    id: "foreign-key-without-not-valid",
    severity: "error",
    summary:
      "Adding a foreign key compares all rows while writes to both tables are blocked, unless it is added NOT VALID and validated later.",
    kinds: ["AlterTableStmt"],
    check: (statement) =>
      constraintProblems(
        statement,
        "CONSTR_FOREIGN",
        (table, { constraint, clause, name, at, addColumn, column }) => ({
          message: `Neither ${sqlName(table)} nor ${sqlName(relation(constraint.pktable))} takes writes while all rows are compared for ${quoteIdentifier(name)}.`,
          rewrite: apart(
            addColumn,
            notValid(
              table,
              name,
              addColumn === null ? clause : `FOREIGN KEY (${quoteIdentifier(column)}) ${clause}`,
            ),
          ),
          at,
        }),
      ),
  },
  {
    id: "unique-constraint-without-index",
    severity: "error",
    summary:
      "Adding a unique constraint or a primary key builds its index while nobody else may read or write the table.",
    kinds: ["AlterTableStmt"],
    check: (statement) =>
      ["CONSTR_UNIQUE", "CONSTR_PRIMARY"].flatMap((contype) =>
        constraintProblems(statement, contype, (table, { name, at, columns, addColumn }) => {
          const what = contype === "CONSTR_PRIMARY" ? "PRIMARY KEY" : "UNIQUE";
          const add = addColumn === null ? "" : `${addColumn}\n`;
          return {
            message: `${sqlName(table)} is locked against reads and writes while the index of ${quoteIdentifier(name)} is built.`,
            rewrite: `${add}CREATE UNIQUE INDEX CONCURRENTLY ${quoteIdentifier(name)} ON ${sqlName(table)} (${columns.map(quoteIdentifier).join(", ")});\nALTER TABLE ${sqlName(table)} ADD CONSTRAINT ${quoteIdentifier(name)} ${what} USING INDEX ${quoteIdentifier(name)};`,
            at,
          };
        }),
      ),
  },
  {
    id: "exclusion-constraint",
    severity: "error",
    summary:
      "An exclusion constraint builds its index while nobody else may read or write the table, and PostgreSQL has no online form of it.",
    kinds: ["AlterTableStmt"],
    check: (statement) =>
      constraintProblems(statement, "CONSTR_EXCLUSION", (table, { clause, name, at }) => {
        const copy = { ...table, name: `${table.name}_new` };
        return {
          message: `${sqlName(table)} is locked against reads and writes while the index of ${quoteIdentifier(name)} is built, and there is no online form of that.`,
          rewrite: `CREATE TABLE ${sqlName(copy)} (LIKE ${sqlName(table)} INCLUDING ALL, CONSTRAINT ${quoteIdentifier(name)} ${clause});\n-- Copy the rows in batches, keep both in step by a trigger, then let the names change places.`,
          at,
        };
      }),
  },
  {
    id: "not-null-without-check",
    severity: "error",
    summary:
      "SET NOT NULL reads the whole table while nobody else may read or write it, unless a validated CHECK already proves it.",
    kinds: ["AlterTableStmt"],
    check: setNotNull,
  },
  {
    id: "validated-in-same-transaction",
    severity: "warning",
    summary:
      "A constraint that is validated in the transaction that adds it keeps the strong lock of the adding while all rows are read.",
    kinds: ["AlterTableStmt"],
    check: validatedTogether,
  },
];

/** A constraint that an ALTER TABLE adds to a table that was there before. */
interface Added {
  readonly constraint: Node;
  /** As it was written, its name left out. */
  readonly clause: string;
  /** As it was written, else as PostgreSQL would call it. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly at: number;
  /** What adds the new column that it stands with, without it; null where it stands alone. */
  readonly addColumn: string | null;
  /** That column's name, or an empty text. */
  readonly column: string;
}

function constraintProblems(
  { node, text: sql, isNew }: Checked,
  contype: string,
  describe: (table: ObjectName, added: Added) => Problem,
): readonly Problem[] {
  const table = relation(node.relation);
  if (isNew(table)) return [];
  return addedConstraints(node, sql, table)
    .filter(({ constraint }) => constraint.contype === contype)
    .map((added) => ({ table, asks: SCAN, ...describe(table, added) }));
}

/** What PostgreSQL checks against the rows that are there: not what is NOT VALID or made from an index. */
function addedConstraints(node: Node, sql: string, table: ObjectName): readonly Added[] {
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

/** A new column without a default holds nulls only, and PostgreSQL then skips the comparison of a foreign key. */
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
  return `ALTER TABLE ${sqlName(table)} ADD COLUMN ${start < 0 ? source : rest};`;
}

/** Behind a column's constraint stand its others, up to the comma: of these only the first is meant. */
function inlineClause(clause: string, column: Node | null): string {
  if (column === null) return clause;
  const check = /^check\s*\(/i.exec(clause);
  if (check !== null) {
    const open = check[0].length;
    return clause.slice(0, open + clauseLength(clause.slice(open)) + 1);
  }
  const word = /^(?:unique|primary\s+key)/i.exec(clause)?.[0];
  if (word !== undefined) return word;
  return (
    /^references\s+\S+\s*(?:\([^)]*\))?(?:\s+on\s+(?:delete|update)\s+(?:cascade|restrict|no\s+action|set\s+(?:null|default)))*/i.exec(
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

function notValid(table: ObjectName, name: string, clause: string): string {
  const constraint = quoteIdentifier(name);
  return `ALTER TABLE ${sqlName(table)} ADD CONSTRAINT ${constraint} ${clause} NOT VALID;\nALTER TABLE ${sqlName(table)} VALIDATE CONSTRAINT ${constraint};`;
}

/** Each statement commits by itself, so that no lock of one is kept by the next. */
function apart(first: string | null, then: string): string {
  return `-- neon-migrate: no-transaction
${
  first === null
    ? ""
    : `${first}
`
}${then}`;
}

function setNotNull({ node, isNew, history }: Checked): readonly Problem[] {
  const table = relation(node.relation);
  if (isNew(table)) return [];
  return alterCommands(node)
    .filter(
      ({ subtype, name }) => subtype === "AT_SetNotNull" && !history.provesNotNull(table, name),
    )
    .map(({ name }) => {
      const constraint = `${table.name}_${name}_not_null`;
      const column = quoteIdentifier(name);
      const alter = `ALTER TABLE ${sqlName(table)}`;
      return {
        message: `${sqlName(table)} is read from end to end under an ACCESS EXCLUSIVE lock to see that ${column} has no nulls.`,
        rewrite: `${apart(null, notValid(table, constraint, `CHECK (${column} IS NOT NULL)`))}\n${alter} ALTER COLUMN ${column} SET NOT NULL;\n${alter} DROP CONSTRAINT ${quoteIdentifier(constraint)};`,
        table,
        asks: { kind: "not-null", column: name },
      };
    });
}

function validatedTogether(statement: Checked): readonly Problem[] {
  const table = relation(statement.node.relation);
  const validated = alterCommands(statement.node).filter(
    ({ subtype }) => subtype === "AT_ValidateConstraint",
  );
  if (validated.length === 0 || statement.isNew(table)) return [];
  const added = addedTogether(statement, table);
  return validated
    .filter(({ name }) => added.has(name))
    .map(({ name }) => ({
      message: `${quoteIdentifier(name)} was added in this transaction, so that its lock on ${sqlName(table)} is kept while all rows are read.`,
      rewrite: `-- neon-migrate: no-transaction\n-- The statement that adds it, and behind it:\nALTER TABLE ${sqlName(table)} VALIDATE CONSTRAINT ${quoteIdentifier(name)};`,
      table,
      asks: SCAN,
    }));
}

function addedTogether(
  { together, index, nodeAt }: Checked,
  table: ObjectName,
): ReadonlySet<string> {
  const before = together.filter((each) => each <= index).map(nodeAt);
  const same = before.filter((each) => keyOf(relation(each.relation)) === keyOf(table));
  return new Set(same.flatMap(notValidNames));
}

function notValidNames(node: Node): readonly string[] {
  return alterCommands(node)
    .map(addedConstraint)
    .filter((each) => each?.skip_validation === true)
    .map((each) => text(each?.conname));
}
