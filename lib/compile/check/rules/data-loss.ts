import { type ObjectName, quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import { alterCommands, dropped, nodes, record, relation, text } from "../../sql/tree.ts";
import type { Checked, Problem, Rule } from "../rule.ts";

/** Rules about statements that delete data. */
export const DATA_LOSS_RULES: readonly Rule[] = [
  {
    id: "column-dropped",
    severity: "error",
    summary:
      "A dropped column takes its data along, and code that still names it fails from that moment on.",
    kinds: ["AlterTableStmt"],
    check: droppedColumns,
  },
  {
    id: "table-dropped",
    severity: "error",
    summary:
      "A dropped table takes its data along, and code that still uses it fails from that moment on.",
    kinds: ["DropStmt"],
    check: ({ node, isNew }) => {
      if (node.removeType !== "OBJECT_TABLE") return [];
      return dropped(node)
        .filter((table) => !isNew(table))
        .map((table) => ({
          message: `${quoteName(table)} and all its rows are gone, and code that still uses it fails.`,
          rewrite: `-- Once no deployed code uses it, put it out of reach, and drop it in a later deployment:\nALTER TABLE ${quoteName(table)} RENAME TO ${quoteIdentifier(`${table.name}_unused`)};`,
          table,
          asks: { kind: "loss" },
        }));
    },
  },
  {
    id: "schema-dropped",
    severity: "error",
    summary: "A schema that is dropped with CASCADE takes every table in it along.",
    kinds: ["DropStmt"],
    check: ({ node, history, tag }) => {
      if (node.removeType !== "OBJECT_SCHEMA" || node.behavior !== "DROP_CASCADE") return [];
      return dropped(node)
        .filter(({ name }) => history.schemaCreatedIn(name) !== tag)
        .map((schema) => ({
          message: `Everything in the schema ${quoteName(schema)} is gone, its tables with all their rows included.`,
          rewrite: `-- Drop its tables one by one, each once no deployed code uses it. Then, refused while anything is left:\nDROP SCHEMA ${quoteName(schema)} RESTRICT;`,
        }));
    },
  },
  {
    id: "table-truncated",
    severity: "error",
    summary: "TRUNCATE takes all rows of a table, at once and for good.",
    kinds: ["TruncateStmt"],
    check: ({ node, isNew }) =>
      nodes(node.relations, "RangeVar")
        .map(relation)
        .filter((table) => !isNew(table))
        .map((table) => ({
          message: `All rows of ${quoteName(table)} are gone.`,
          rewrite: deletePart(table),
          table,
          asks: { kind: "loss" },
        })),
  },
  {
    id: "delete-without-where",
    severity: "error",
    summary: "DELETE without WHERE takes all rows of a table.",
    kinds: ["DeleteStmt"],
    check: ({ node, isNew }) => {
      const table = relation(node.relation);
      if (node.whereClause !== undefined || node.usingClause !== undefined || isNew(table))
        return [];
      return [
        {
          message: `All rows of ${quoteName(table)} are gone.`,
          rewrite: deletePart(table),
          table,
          asks: { kind: "loss" },
        },
      ];
    },
  },
  {
    id: "column-emptied",
    severity: "error",
    summary: "UPDATE to NULL without WHERE takes the values of a column from all rows.",
    kinds: ["UpdateStmt"],
    check: emptiedColumns,
  },
];

function deletePart(table: ObjectName): string {
  return `DELETE FROM ${quoteName(table)} WHERE /* the rows that shall go */ false;`;
}

function droppedColumns({ node, isNew, history, tag }: Checked): readonly Problem[] {
  const table = relation(node.relation);
  if (isNew(table)) return [];
  return alterCommands(node)
    .filter(
      ({ subtype, name }) =>
        subtype === "AT_DropColumn" && history.columnAddedIn(table, name) !== tag,
    )
    .map(({ name }) => ({
      message: `The values of ${quoteName(table)}.${quoteIdentifier(name)} are gone, and code that still names it fails.`,
      rewrite: `-- First deploy code that does not name it. Until then let inserts do without it:\nALTER TABLE ${quoteName(table)} ALTER COLUMN ${quoteIdentifier(name)} DROP NOT NULL;\n-- In a later deployment:\n-- ALTER TABLE ${quoteName(table)} DROP COLUMN ${quoteIdentifier(name)};`,
      table,
      asks: { kind: "loss" },
    }));
}

function emptiedColumns({ node, isNew }: Checked): readonly Problem[] {
  const table: ObjectName = relation(node.relation);
  if (node.whereClause !== undefined || node.fromClause !== undefined || isNew(table)) return [];
  return nodes(node.targetList, "ResTarget")
    .filter(({ val }) => record(record(val).A_Const).isnull === true)
    .map(({ name }) => ({
      message: `The values of ${quoteName(table)}.${quoteIdentifier(text(name))} are gone from all rows.`,
      rewrite: `UPDATE ${quoteName(table)} SET ${quoteIdentifier(text(name))} = NULL WHERE /* the rows that shall lose it */ false;`,
      table,
      asks: { kind: "loss" },
    }));
}
