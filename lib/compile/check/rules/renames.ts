import { quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import { relation, text } from "../../sql/tree.ts";
import type { Rule } from "../rule.ts";

/** Rules about renamed tables and columns, whose old names running code still uses. */
export const RENAME_RULES: readonly Rule[] = [
  {
    id: "column-renamed",
    severity: "error",
    summary:
      "Code that runs now knows only the old name of a column, and the code of this deployment only the new one.",
    kinds: ["RenameStmt"],
    check: ({ node, isNew, history, tag }) => {
      const table = relation(node.relation);
      const [from, to] = [text(node.subname), text(node.newname)];
      const column = node.renameType === "OBJECT_COLUMN" && node.relationType === "OBJECT_TABLE";
      if (!column || isNew(table) || history.columnAddedIn(table, from) === tag) return [];
      const [old, next] = [quoteIdentifier(from), quoteIdentifier(to)];
      return [
        {
          message: `Code that still uses ${quoteName(table)}.${old} fails from the moment on that it is called ${next}.`,
          rewrite: `-- The new name may stand in the Drizzle schema alone: ${camel(to)}: text(${JSON.stringify(from)}), or whatever its type is.\n-- Or let both names work until no deployed code uses the old one:\nCREATE VIEW ${quoteName({ ...table, name: `${table.name}_v2` })} AS SELECT *, ${old} AS ${next} FROM ${quoteName(table)};`,
          table,
          asks: { kind: "use" },
        },
      ];
    },
  },
  {
    id: "table-renamed",
    severity: "error",
    summary:
      "Code that runs now knows only the old name of a table, and the code of this deployment only the new one.",
    kinds: ["RenameStmt", "AlterObjectSchemaStmt"],
    check: ({ node, statement, isNew }) => {
      const table = relation(node.relation);
      const moved = statement.kind === "AlterObjectSchemaStmt";
      if ((moved ? node.objectType : node.renameType) !== "OBJECT_TABLE" || isNew(table)) return [];
      const to = moved
        ? { schema: text(node.newschema), name: table.name }
        : { schema: table.schema, name: text(node.newname) };
      return [
        {
          message: `Code that still uses ${quoteName(table)} fails from the moment on that it is called ${quoteName(to)}.`,
          rewrite: `-- Let both names work until no deployed code uses the old one, and rename then:\nCREATE VIEW ${quoteName(to)} AS SELECT * FROM ${quoteName(table)};`,
          table,
          asks: { kind: "use" },
        },
      ];
    },
  },
];

function camel(name: string): string {
  return name.replace(/_+(\w)/g, (_match, letter: string) => letter.toUpperCase());
}
