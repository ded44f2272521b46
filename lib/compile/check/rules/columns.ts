import { type ObjectName, quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import { type ColumnType, isKeptAsItIs, type TypeReference } from "../../../postgres/types.ts";
import { clauseAt, placeIn } from "../../sql/clause.ts";
import {
  addedColumn,
  alterCommands,
  columnConstraints,
  columnIn,
  keyOf,
  type Node,
  record,
  relation,
  serialInteger,
  sqlType,
  text,
  typeOf,
} from "../../sql/tree.ts";
import type { Checked, Problem, Rule } from "../rule.ts";
import { volatileCall } from "./volatility.ts";

/** Rules about columns: those that make PostgreSQL write a whole table anew, and those that it refuses to add. */
export const COLUMN_RULES: readonly Rule[] = [
  {
    id: "required-column-without-default",
    severity: "error",
    summary: "A NOT NULL column without a default cannot be added to a table that has rows.",
    kinds: ["AlterTableStmt"],
    check: (statement) => newColumns(statement).flatMap(requiredColumn),
  },
  {
    id: "volatile-default",
    severity: "error",
    summary:
      "A new column whose default differs from row to row makes PostgreSQL write the whole table anew while nobody else may read or write it.",
    kinds: ["AlterTableStmt"],
    check: (statement) => newColumns(statement).flatMap(volatileDefault),
  },
  {
    id: "stored-generated-column",
    severity: "error",
    summary:
      "A new STORED generated column makes PostgreSQL write the whole table anew while nobody else may read or write it.",
    kinds: ["AlterTableStmt"],
    check: (statement) => newColumns(statement).flatMap(storedColumn),
  },
  {
    id: "column-type-changed",
    severity: "error",
    summary:
      "Most changes of a column's type make PostgreSQL write the whole table anew while nobody else may read or write it.",
    kinds: ["AlterTableStmt"],
    check: changedTypes,
  },
];

/** A column that an ALTER TABLE adds to a table that its file does not create. */
interface NewColumn {
  readonly table: ObjectName;
  readonly name: string;
  readonly column: Node;
  readonly constraints: readonly Node[];
  /** The column as it was written. */
  readonly source: string;
  /** Where each constraint begins in it. */
  readonly begins: readonly number[];
  readonly at: number;
}

function newColumns({ node, isNew, text: sql }: Checked): readonly NewColumn[] {
  const table = relation(node.relation);
  if (isNew(table)) return [];
  return alterCommands(node).flatMap((command) => {
    const column = addedColumn(command);
    if (column === null) return [];
    const at = Number(column.location ?? 0);
    const constraints = columnConstraints(column);
    const name = text(column.colname);
    const unitsOf = (place: unknown) => placeIn(sql, Number(place ?? 0)).units;
    const begins = constraints.map(({ location }) => unitsOf(location) - unitsOf(at));
    return [{ table, name, column, constraints, source: clauseAt(sql, at), begins, at }];
  });
}

const NOT_NULL = /^(?:constraint\s+(?:"(?:[^"]|"")+"|\S+)\s+)?not\s+null(?:\s+no\s+inherit)?\s*/i;

/** Returns the column as it was written, but for its constraints of some kinds: all others stay. */
function without(
  { source, constraints, begins }: NewColumn,
  ...contypes: readonly string[]
): string {
  const kept = constraints.map(({ contype }, index) => {
    const [begin, end] = [begins[index] ?? 0, Math.min(...laterThan(begins, index), source.length)];
    const clause = source.slice(begin, end);
    if (!contypes.includes(text(contype))) return clause;
    // A collation may stand behind the words, and is no constraint.
    return contype === "CONSTR_NOTNULL" ? clause.replace(NOT_NULL, "") : "";
  });
  return `${source.slice(0, Math.min(...begins, source.length))}${kept.join("")}`.trim();
}

function laterThan(begins: readonly number[], index: number): readonly number[] {
  return begins.filter((each) => each > (begins[index] ?? 0));
}

/** Makes the statements that forbid nulls in a column which is filled, without a scan under a strong lock. */
function requiredAtLast(table: ObjectName, name: string): string {
  const alter = `ALTER TABLE ${quoteName(table)}`;
  const check = quoteIdentifier(`${table.name}_${name}_not_null`);
  const quoted = quoteIdentifier(name);
  return `${alter} ADD CONSTRAINT ${check} CHECK (${quoted} IS NOT NULL) NOT VALID;\n${alter} VALIDATE CONSTRAINT ${check};\n${alter} ALTER COLUMN ${quoted} SET NOT NULL;\n${alter} DROP CONSTRAINT ${check};`;
}

/** Makes the statements that turn a column without nulls into the primary key. */
function keyAtLast(table: ObjectName, { constraints, name }: NewColumn): string {
  const key = constraints.find(({ contype }) => contype === "CONSTR_PRIMARY");
  if (key === undefined) return "";
  const named = quoteIdentifier(text(key.conname) || `${table.name}_pkey`);
  return `\nCREATE UNIQUE INDEX CONCURRENTLY ${named} ON ${quoteName(table)} (${quoteIdentifier(name)});\nALTER TABLE ${quoteName(table)} ADD CONSTRAINT ${named} PRIMARY KEY USING INDEX ${named};`;
}

function has({ constraints }: NewColumn, ...contypes: readonly string[]): boolean {
  return constraints.some(({ contype }) => contypes.includes(text(contype)));
}

function requiredColumn(added: NewColumn): readonly Problem[] {
  const required = has(added, "CONSTR_NOTNULL", "CONSTR_PRIMARY");
  const filled = has(added, "CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED");
  const { table, name, column, at } = added;
  if (!required || filled || serialInteger(typeOf(column.typeName)) !== null) return [];
  const optional = without(added, "CONSTR_NOTNULL", "CONSTR_PRIMARY");
  return [
    {
      message: `${quoteIdentifier(name)} cannot be added to ${quoteName(table)} once that has a row: the row would have a null in it.`,
      rewrite: `-- neon-migrate: no-transaction\nALTER TABLE ${quoteName(table)} ADD COLUMN ${optional};\n-- Fill it in batches, then:\n${requiredAtLast(table, name)}${keyAtLast(table, added)}`,
      table,
      asks: { kind: "loss" },
      at,
    },
  ];
}

function volatileDefault(added: NewColumn): readonly Problem[] {
  const { table, name, column, constraints, at } = added;
  if (serialInteger(typeOf(column.typeName)) !== null || has(added, "CONSTR_IDENTITY")) {
    const message = `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock to number its rows in ${quoteIdentifier(name)}.`;
    const rewrite = numberedLater(added);
    return [{ message, rewrite, table, asks: { kind: "scan", index: null }, at }];
  }
  const index = constraints.findIndex(({ contype }) => contype === "CONSTR_DEFAULT");
  const call = volatileCall(constraints[index]?.raw_expr);
  if (call === null) return [];
  const end = Math.min(...laterThan(added.begins, index), added.source.length);
  const clause = added.source.slice(added.begins[index], end).trim();
  return [
    {
      message: call.known
        ? `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock, because ${quoteName(call.routine)}() differs for each row.`
        : `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock if ${quoteName(call.routine)}() is volatile, as functions are unless they say otherwise.`,
      rewrite: `-- neon-migrate: no-transaction\nALTER TABLE ${quoteName(table)} ADD COLUMN ${without(added, "CONSTR_DEFAULT", "CONSTR_NOTNULL", "CONSTR_PRIMARY")};\n${filledLater(added, clause)}`,
      table,
      asks: call.known
        ? { kind: "scan", index: null }
        : { kind: "volatility", routine: call.routine },
      severity: call.known ? "error" : "warning",
      at,
    },
  ];
}

/** Makes the statements that give a column its default, fill it, and then forbid nulls in it, if it forbids them. */
function filledLater(added: NewColumn, clause: string): string {
  const { table, name, column } = added;
  const quoted = quoteIdentifier(name);
  const required =
    serialInteger(typeOf(column.typeName)) !== null ||
    has(added, "CONSTR_NOTNULL", "CONSTR_PRIMARY", "CONSTR_IDENTITY");
  const last = required
    ? `\n-- When no row is left without:\n${requiredAtLast(table, name)}${keyAtLast(table, added)}`
    : "";
  return `ALTER TABLE ${quoteName(table)} ALTER COLUMN ${quoted} SET ${clause};\n-- Fill the rows that are there in batches:\nUPDATE ${quoteName(table)} SET ${quoted} = DEFAULT WHERE ${quoted} IS NULL AND /* a batch */ false;${last}`;
}

/** Makes the statements that number the rows by a sequence of the column's own, as `serial` does. */
function numberedLater(added: NewColumn): string {
  const { table, name, column } = added;
  const integer = serialInteger(typeOf(column.typeName));
  const sequence = quoteName({ ...table, name: `${table.name}_${name}_seq` });
  const source = without(added, "CONSTR_IDENTITY", "CONSTR_NOTNULL", "CONSTR_PRIMARY");
  const plain =
    integer === null ? source : source.replace(/\b(?:big|small)?serial\d?\b(?!")/i, integer);
  return `-- neon-migrate: no-transaction\nCREATE SEQUENCE ${sequence};\nALTER TABLE ${quoteName(table)} ADD COLUMN ${plain};\nALTER SEQUENCE ${sequence} OWNED BY ${quoteName(table)}.${quoteIdentifier(name)};\n${filledLater(added, `DEFAULT nextval('${sequence}')`)}`;
}

function storedColumn(added: NewColumn): readonly Problem[] {
  const { table, name, column, constraints, at } = added;
  const generated = constraints.find(({ contype }) => contype === "CONSTR_GENERATED");
  if (generated === undefined || generated.generated_kind === "v") return [];
  const quoted = quoteIdentifier(name);
  const type = sqlType(typeOf(column.typeName));
  return [
    {
      message: `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock to compute ${quoted} for every row.`,
      rewrite: `-- From PostgreSQL 18 on: computed when it is read, and added at once.\nALTER TABLE ${quoteName(table)} ADD COLUMN ${added.source.replace(/\bstored\b/i, "VIRTUAL")};\n-- Before that: an ordinary column, kept by a trigger and filled in batches.\n-- ALTER TABLE ${quoteName(table)} ADD COLUMN ${quoted} ${type};`,
      table,
      asks: { kind: "scan", index: null },
      at,
    },
  ];
}

function changedTypes(statement: Checked): readonly Problem[] {
  const { node, isNew, history, tag } = statement;
  const table = relation(node.relation);
  if (isNew(table)) return [];
  return alterCommands(node)
    .filter(
      ({ subtype, name }) =>
        subtype === "AT_AlterColumnType" && history.columnAddedIn(table, name) !== tag,
    )
    .flatMap(({ name, def }) => {
      const column = record(def.ColumnDef);
      const type = typeOf(column.typeName);
      const computed = isComputed(column.raw_default, name, type);
      const before = history.columnType(table, name);
      if (before !== null && !computed && isKeptAsItIs(before, type)) return [];
      return [typeProblem(table, name, { ...type, computed }, Number(column.location ?? 0))];
    });
}

function typeProblem(table: ObjectName, name: string, type: TypeReference, at: number): Problem {
  const alter = `ALTER TABLE ${quoteName(table)}`;
  const [old, next] = [quoteIdentifier(name), quoteIdentifier(`${name}_new`)];
  return {
    message: `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock, unless its values of ${old} are valid as ${sqlType(type)} as they are.`,
    rewrite: `${alter} ADD COLUMN ${next} ${sqlType(type)};\n-- Write both columns from now on, and fill the new one in batches:\nUPDATE ${quoteName(table)} SET ${next} = ${old}::${sqlType(type)} WHERE ${next} IS NULL AND /* a batch */ false;\n-- Read the new one in a later deployment, and drop the old one in the one after that:\n-- ${alter} DROP COLUMN ${old};`,
    table,
    asks: { kind: "type-change", column: name, type },
    ...(at === 0 ? {} : { at }),
  };
}

/** Whether USING computes a value. `USING column::type` does not: PostgreSQL would do the same by itself. */
function isComputed(using: unknown, name: string, type: ColumnType): boolean {
  if (using === undefined || columnIn(using) === name) return false;
  const { arg, typeName } = record(record(using).TypeCast);
  return columnIn(arg) !== name || typeKey(typeOf(typeName)) !== typeKey(type);
}

function typeKey(type: ColumnType): string {
  return `${keyOf(type)}${type.modifiers.join()}${type.array}`;
}
