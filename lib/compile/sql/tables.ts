import { type Migration, UNPARSED } from "../../bundle/bundle.ts";
import type { ObjectName } from "../../postgres/names.ts";
import { loadParser, parseTree } from "./parser.ts";
import { dropped, keyOf, list, type Node, record, relation } from "./tree.ts";

/** A table that exists once these migrations are applied, and which of them makes it. */
export interface MadeTable {
  readonly table: ObjectName;
  readonly tag: string;
}

/**
 * The tables that a series of migrations leaves behind: created, and neither dropped, renamed away nor
 * moved again. What a DO block or a function makes is not seen. Partitions are left out: they come and go
 * with their data, and their parent stands for them.
 */
export async function tablesMadeBy(
  migrations: readonly Migration[],
): Promise<readonly MadeTable[]> {
  await loadParser();
  const tables = new Map<string, MadeTable>();
  for (const migration of migrations) {
    for (const { start, end, kind } of migration.statements) {
      if (kind !== UNPARSED)
        replay(parseTree(migration.sql.slice(start, end)), migration.tag, tables);
    }
  }
  return [...tables.values()];
}

type Tables = Map<string, MadeTable>;

function replay(stmt: Node, tag: string, tables: Tables): void {
  const [name = ""] = Object.keys(stmt);
  EFFECTS[name]?.(record(stmt[name]), tag, tables);
}

/** What each kind of statement does to the set of tables. */
const EFFECTS: Readonly<Record<string, (node: Node, tag: string, tables: Tables) => void>> = {
  CreateStmt: ({ relation: made, partbound }, tag, tables) => {
    if (partbound === undefined) add(made, tag, tables);
  },
  CreateTableAsStmt: ({ objtype, into }, tag, tables) => {
    if (objtype === "OBJECT_TABLE") add(record(into).rel, tag, tables);
  },
  DropStmt: (node, _tag, tables) => {
    if (node.removeType === "OBJECT_SCHEMA") dropSchemas(node, tables);
    if (node.removeType !== "OBJECT_TABLE") return;
    for (const table of dropped(node)) tables.delete(keyOf(table));
  },
  RenameStmt: (node, tag, tables) => {
    if (node.renameType === "OBJECT_SCHEMA") renameSchema(node, tag, tables);
    if (node.renameType !== "OBJECT_TABLE") return;
    const { schema } = relation(node.relation);
    move(node, tag, { schema, name: String(node.newname) }, tables);
  },
  AlterObjectSchemaStmt: (node, tag, tables) => {
    if (node.objectType !== "OBJECT_TABLE") return;
    const { name } = relation(node.relation);
    move(node, tag, { schema: String(node.newschema), name }, tables);
  },
};

/** A temporary table is gone with its session; IF NOT EXISTS leaves alone what is there. */
function add(made: unknown, tag: string, tables: Tables): void {
  if (record(made).relpersistence === "t") return;
  const table = relation(made);
  if (!tables.has(keyOf(table))) tables.set(keyOf(table), { table, tag });
}

function move(node: Node, tag: string, to: ObjectName, tables: Tables): void {
  if (tables.delete(keyOf(relation(node.relation)))) tables.set(keyOf(to), { table: to, tag });
}

function renameSchema({ subname, newname }: Node, tag: string, tables: Tables): void {
  for (const [key, { table }] of [...tables]) {
    if ((table.schema ?? "public") !== subname) continue;
    const moved = { schema: String(newname), name: table.name };
    tables.delete(key);
    tables.set(keyOf(moved), { table: moved, tag });
  }
}

function dropSchemas({ objects }: Node, tables: Tables): void {
  const schemas = list(objects).map((each) => record(record(each).String).sval);
  for (const [key, { table }] of [...tables]) {
    if (schemas.includes(table.schema ?? "public")) tables.delete(key);
  }
}
