import type { Question } from "../../../bundle/finding.ts";
import { type ObjectName, quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import type { History } from "../../sql/history.ts";
import {
  addedConstraint,
  alterCommands,
  keyOf,
  type Node,
  nodes,
  record,
  relation,
  strings,
  text,
} from "../../sql/tree.ts";
import { type Checked, ifPartitioned, type Problem, type Rule } from "../rule.ts";
import { type Added, addedConstraints } from "./added-constraints.ts";

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
        message: `${quoteName(table)} is read from end to end under an ACCESS EXCLUSIVE lock to check ${quoteIdentifier(name)}.`,
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
      constraintProblems(statement, "CONSTR_FOREIGN", (table, added) => ({
        message: `Neither ${quoteName(table)} nor ${quoteName(relation(added.constraint.pktable))} takes writes while all rows are compared for ${quoteIdentifier(added.name)}.`,
        rewrite: apart(added.addColumn, foreignKey(table, added, statement.history)),
        at: added.at,
      })),
  },
  {
    id: "unique-constraint-without-index",
    severity: "error",
    summary:
      "Adding a unique constraint or a primary key builds its index while nobody else may read or write the table.",
    kinds: ["AlterTableStmt"],
    check: (statement) =>
      ["CONSTR_UNIQUE", "CONSTR_PRIMARY"].flatMap((contype) =>
        constraintProblems(statement, contype, (table, added) => ({
          message: `${quoteName(table)} is locked against reads and writes while the index of ${quoteIdentifier(added.name)} is built.`,
          rewrite: `${added.addColumn === null ? "" : `${added.addColumn}\n`}${uniqueRewrite(table, added, statement.history)}`,
          at: added.at,
        })),
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
          message: `${quoteName(table)} is locked against reads and writes while the index of ${quoteIdentifier(name)} is built, and there is no online form of that.`,
          rewrite: `CREATE TABLE ${quoteName(copy)} (LIKE ${quoteName(table)} INCLUDING ALL, CONSTRAINT ${quoteIdentifier(name)} ${clause});\n-- Copy the rows in batches, keep both in step by a trigger, then let the names change places.`,
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

function constraintProblems(
  { node, text: sql, isNew }: Checked,
  contype: string,
  describe: (table: ObjectName, added: Added) => Problem,
): readonly Problem[] {
  const table = relation(node.relation);
  if (isNew(table)) return [];
  return addedConstraints(node, sql, table, contype).map((added) => ({
    table,
    asks: SCAN,
    ...describe(table, added),
  }));
}

/** Before version 18, PostgreSQL refuses NOT VALID for the foreign key of a partitioned table. */
function foreignKey(table: ObjectName, { name, column, clause }: Added, history: History): string {
  const key = column === "" ? clause : `FOREIGN KEY (${quoteIdentifier(column)}) ${clause}`;
  if (!history.isPartitioned(table)) {
    return `${notValid(table, name, key)}${ifPartitioned(history, table, "the foreign key NOT VALID, and VALIDATE CONSTRAINT, for each partition, and then for all of it without NOT VALID")}`;
  }
  const constraint = `ADD CONSTRAINT ${quoteIdentifier(name)} ${key}`;
  return `-- First for each partition: ${constraint} NOT VALID, and VALIDATE CONSTRAINT. PostgreSQL takes them over here, and reads no rows.
-- neon-migrate: allow foreign-key-without-not-valid
ALTER TABLE ${quoteName(table)} ${constraint};`;
}

function uniqueRewrite(table: ObjectName, added: Added, history: History): string {
  const { constraint, columns, name, clause } = added;
  if (constraint.without_overlaps === true) {
    return `ALTER TABLE ${quoteName(table)} ADD CONSTRAINT ${quoteIdentifier(name)} ${clause};\n-- PostgreSQL has no online form of WITHOUT OVERLAPS: a quiet moment, or a new table that takes the name.`;
  }
  const what = constraint.contype === "CONSTR_PRIMARY" ? "PRIMARY KEY" : "UNIQUE";
  const named = `ADD CONSTRAINT ${quoteIdentifier(name)} ${what}`;
  const keys = `(${columns.map(quoteIdentifier).join(", ")})`;
  const nulls = constraint.nulls_not_distinct === true ? " NULLS NOT DISTINCT" : "";
  if (history.isPartitioned(table)) {
    const distinct = what === "UNIQUE" ? nulls : "";
    return `ALTER TABLE ONLY ${quoteName(table)} ${named}${distinct} ${keys}${included(constraint)}${settings(constraint)}${deferred(added)};\n-- Then for each partition: CREATE UNIQUE INDEX CONCURRENTLY on it, ADD CONSTRAINT … USING INDEX, and ALTER INDEX ${quoteName({ ...table, name })} ATTACH PARTITION.`;
  }
  return `CREATE UNIQUE INDEX CONCURRENTLY ${quoteIdentifier(name)} ON ${quoteName(table)} ${keys}${included(constraint)}${nulls}${settings(constraint)};
ALTER TABLE ${quoteName(table)} ${named} USING INDEX ${quoteIdentifier(name)}${deferred(added)};${ifPartitioned(history, table, "the constraint ON ONLY it, an index CONCURRENTLY for each partition, and ATTACH PARTITION")}`;
}

function included({ including }: Node): string {
  const payload = strings(including);
  return payload.length === 0 ? "" : ` INCLUDE (${payload.map(quoteIdentifier).join(", ")})`;
}

/** Writes the storage parameters of a constraint's index. Each is a number or a word. */
function settings({ options }: Node): string {
  const set = nodes(options, "DefElem").map(({ defname, arg }) => {
    const { Integer, String: word, Float } = record(arg);
    const value = record(Integer).ival ?? record(word).sval ?? record(Float).fval;
    return `${text(defname)} = ${String(value ?? true)}`;
  });
  return set.length === 0 ? "" : ` WITH (${set.join(", ")})`;
}

/** In a new column's definition these words are constraints of their own to the parser. */
function deferred({ constraint, clause, column }: Added): string {
  const words = column === "" ? "" : clause;
  const late = constraint.initdeferred === true || /\binitially\s+deferred\b/i.test(words);
  const can = constraint.deferrable === true || /(?<!\bnot\s+)\bdeferrable\b/i.test(words);
  if (late) return " DEFERRABLE INITIALLY DEFERRED";
  return can ? " DEFERRABLE" : "";
}

function notValid(table: ObjectName, name: string, clause: string): string {
  const constraint = quoteIdentifier(name);
  return `ALTER TABLE ${quoteName(table)} ADD CONSTRAINT ${constraint} ${clause} NOT VALID;\nALTER TABLE ${quoteName(table)} VALIDATE CONSTRAINT ${constraint};`;
}

/** Joins statements that each commit alone, so that none holds its lock while the next one runs. */
function apart(first: string | null, then: string): string {
  const before =
    first === null
      ? ""
      : `${first}
`;
  return `-- neon-migrate: no-transaction
${before}${then}`;
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
      const alter = `ALTER TABLE ${quoteName(table)}`;
      return {
        message: `${quoteName(table)} is read from end to end under an ACCESS EXCLUSIVE lock to see that ${column} has no nulls.`,
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
      message: `${quoteIdentifier(name)} was added in this transaction, so that its lock on ${quoteName(table)} is kept while all rows are read.`,
      rewrite: `-- neon-migrate: no-transaction\n-- The statement that adds it, and behind it:\nALTER TABLE ${quoteName(table)} VALIDATE CONSTRAINT ${quoteIdentifier(name)};`,
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
