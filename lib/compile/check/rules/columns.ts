import { type ObjectName, quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import { type ColumnType, isKeptAsItIs, type TypeReference } from "../../../postgres/types.ts";
import { clauseAt } from "../../sql/clause.ts";
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
    return [
      { table, name: text(column.colname), column, constraints, source: clauseAt(sql, at), at },
    ];
  });
}

function has({ constraints }: NewColumn, ...contypes: readonly string[]): boolean {
  return constraints.some(({ contype }) => contypes.includes(text(contype)));
}

function requiredColumn(added: NewColumn): readonly Problem[] {
  const required = has(added, "CONSTR_NOTNULL", "CONSTR_PRIMARY");
  const filled = has(added, "CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED");
  const { table, name, column, at } = added;
  if (!required || filled || serialInteger(typeOf(column.typeName)) !== null) return [];
  const quoted = quoteIdentifier(name);
  const alter = `ALTER TABLE ${quoteName(table)}`;
  const check = quoteIdentifier(`${table.name}_${name}_not_null`);
  return [
    {
      message: `${quoted} cannot be added to ${quoteName(table)} once that has a row: the row would have a null in it.`,
      rewrite: `-- neon-migrate: no-transaction\n${alter} ADD COLUMN ${quoted} ${sqlType(typeOf(column.typeName))};\n-- Fill it in batches, then:\n${alter} ADD CONSTRAINT ${check} CHECK (${quoted} IS NOT NULL) NOT VALID;\n${alter} VALIDATE CONSTRAINT ${check};\n${alter} ALTER COLUMN ${quoted} SET NOT NULL;\n${alter} DROP CONSTRAINT ${check};`,
      table,
      asks: { kind: "loss" },
      at,
    },
  ];
}

function volatileDefault(added: NewColumn): readonly Problem[] {
  const { table, name, column, constraints, at } = added;
  const quoted = quoteIdentifier(name);
  const type = sqlType(typeOf(column.typeName));
  const alter = `ALTER TABLE ${quoteName(table)}`;
  const fill = `-- Fill the rows that are there in batches:\nUPDATE ${quoteName(table)} SET ${quoted} = DEFAULT WHERE ${quoted} IS NULL AND /* a batch */ false;`;
  const serial = serialInteger(typeOf(column.typeName));
  if (serial !== null || has(added, "CONSTR_IDENTITY")) {
    const integer = serial ?? type;
    const sequence = quoteName({ ...table, name: `${table.name}_${name}_seq` });
    const message = `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock to number its rows in ${quoted}.`;
    const rewrite = `-- neon-migrate: no-transaction\nCREATE SEQUENCE ${sequence};\n${alter} ADD COLUMN ${quoted} ${integer};\n${alter} ALTER COLUMN ${quoted} SET DEFAULT nextval('${sequence}');\n${fill}`;
    return [{ message, rewrite, table, asks: { kind: "scan", index: null }, at }];
  }
  const expression = constraints.find(({ contype }) => contype === "CONSTR_DEFAULT");
  const call = expression === undefined ? null : volatileCall(expression.raw_expr);
  if (expression === undefined || call === null) return [];
  const source = added.source.slice(defaultStart(added.source));
  return [
    {
      message: call.known
        ? `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock, because ${quoteName(call.routine)}() differs for each row.`
        : `${quoteName(table)} is written anew under an ACCESS EXCLUSIVE lock if ${quoteName(call.routine)}() is volatile, as functions are unless they say otherwise.`,
      rewrite: `-- neon-migrate: no-transaction\n${alter} ADD COLUMN ${quoted} ${type};\n${alter} ALTER COLUMN ${quoted} SET ${defaultClause(source)};\n${fill}`,
      table,
      asks: call.known
        ? { kind: "scan", index: null }
        : { kind: "volatility", routine: call.routine },
      severity: call.known ? "error" : "warning",
      at,
    },
  ];
}

function defaultStart(source: string): number {
  return Math.max(0, source.search(/\bdefault\b/i));
}

/** Returns the default alone, without the other constraints behind it in the column. */
function defaultClause(source: string): string {
  return source.replace(
    /\s+(?:not\s+null|null|unique|primary\s+key|references|check|constraint|collate)\b[\s\S]*$/i,
    "",
  );
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
