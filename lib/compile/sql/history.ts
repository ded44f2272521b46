import { type Migration, UNPARSED } from "../../bundle/bundle.ts";
import type { ObjectName } from "../../postgres/names.ts";
import type { ColumnType } from "../../postgres/types.ts";
import { loadParser, parseTree } from "./parser.ts";
import {
  type AlterCommand,
  addedColumn,
  addedConstraint,
  alterCommands,
  columnsProvenBy,
  dropped,
  keyOf,
  list,
  type Node,
  nodes,
  qualified,
  record,
  relation,
  strings,
  text,
  typeOf,
} from "./tree.ts";

/** What the statements so far say of a table. */
interface TableRecord {
  /** Tag of the migration that creates it; null where it was there before them all. */
  readonly createdIn: string | null;
  readonly partitioned: boolean;
  readonly columns: Map<string, ColumnRecord>;
  /** CHECK constraints that prove columns to be without nulls, by name. */
  readonly proofs: Map<string, Proof>;
}

interface ColumnRecord {
  readonly addedIn: string;
  readonly type: ColumnType;
}

interface Proof {
  readonly columns: readonly string[];
  readonly validated: boolean;
}

interface EnumRecord {
  readonly values: readonly string[];
  /** Tag of the migration that drops it or renames it away; null while it is there. */
  readonly goneIn: string | null;
}

/** What the migrations of a bundle have done up to a statement. What a DO block or a function does is not seen. */
export class History {
  readonly #tables = new Map<string, TableRecord>();
  readonly #indexes = new Map<string, ObjectName>();
  readonly #enums = new Map<string, EnumRecord>();
  readonly #schemas = new Map<string, string>();

  /** Tag of the migration that creates a table; null where none does. */
  createdIn(table: ObjectName): string | null {
    return this.#tables.get(keyOf(table))?.createdIn ?? null;
  }

  /** Whether a migration creates a table as a partitioned one. */
  isPartitioned(table: ObjectName): boolean {
    return this.#tables.get(keyOf(table))?.partitioned === true;
  }

  /** Tag of the migration that creates a schema; null where none does. */
  schemaCreatedIn(schema: string): string | null {
    return this.#schemas.get(schema) ?? null;
  }

  /** Tag of the migration that adds a column; null where it is not known. */
  columnAddedIn(table: ObjectName, column: string): string | null {
    return this.#tables.get(keyOf(table))?.columns.get(column)?.addedIn ?? null;
  }

  columnType(table: ObjectName, column: string): ColumnType | null {
    return this.#tables.get(keyOf(table))?.columns.get(column)?.type ?? null;
  }

  /** Whether a validated CHECK says that a column has no nulls. */
  provesNotNull(table: ObjectName, column: string): boolean {
    const proofs = this.#tables.get(keyOf(table))?.proofs.values() ?? [];
    return [...proofs].some(({ columns, validated }) => validated && columns.includes(column));
  }

  /** The table of an index; null where no migration creates the index. */
  tableOfIndex(index: ObjectName): ObjectName | null {
    return this.#indexes.get(keyOf(index)) ?? null;
  }

  /** The values of an enum that this migration has dropped or renamed away; null where it has none. */
  enumGoneIn(tag: string, type: ObjectName): readonly string[] | null {
    const found = this.#enums.get(keyOf(type));
    return found !== undefined && found.goneIn === tag ? found.values : null;
  }

  /** Takes note of what a statement does. */
  replay(kind: string, node: Node, tag: string): void {
    REPLAY[kind]?.(this.#parts(), node, tag);
  }

  #parts(): Parts {
    return {
      tables: this.#tables,
      indexes: this.#indexes,
      enums: this.#enums,
      schemas: this.#schemas,
    };
  }
}

interface Parts {
  readonly tables: Map<string, TableRecord>;
  readonly indexes: Map<string, ObjectName>;
  readonly enums: Map<string, EnumRecord>;
  readonly schemas: Map<string, string>;
}

/** The kinds of statement of which the history takes note. */
const REPLAY: Readonly<Record<string, (parts: Parts, node: Node, tag: string) => void>> = {
  CreateStmt: ({ tables }, node, tag) => {
    const made = newTable(tag, node.partspec !== undefined);
    for (const column of nodes(node.tableElts, "ColumnDef")) addColumn(made, column, tag);
    tables.set(keyOf(relation(node.relation)), made);
  },
  CreateTableAsStmt: ({ tables }, { into }, tag) => {
    tables.set(keyOf(relation(record(into).rel)), newTable(tag));
  },
  CreateSchemaStmt: ({ schemas }, { schemaname }, tag) => {
    schemas.set(text(schemaname), tag);
  },
  IndexStmt: ({ indexes }, { relation: of, idxname }) => {
    const table = relation(of);
    if (idxname !== undefined) indexes.set(keyOf({ ...table, name: text(idxname) }), table);
  },
  AlterTableStmt: ({ tables }, node, tag) => {
    for (const command of alterCommands(node)) {
      alter(tableRecord(tables, relation(node.relation)), command, tag);
    }
  },
  DropStmt: ({ tables, enums }, node, tag) => {
    for (const name of dropped(node)) {
      if (node.removeType === "OBJECT_TABLE") tables.delete(keyOf(name));
      if (node.removeType === "OBJECT_TYPE") loseEnum(enums, name, tag);
    }
  },
  RenameStmt: rename,
  AlterObjectSchemaStmt: ({ tables }, node) => {
    const from = relation(node.relation);
    moveKey(tables, from, { schema: text(node.newschema), name: from.name });
  },
  CreateEnumStmt: ({ enums }, node) => {
    enums.set(keyOf(qualified(node.typeName)), { values: strings(node.vals), goneIn: null });
  },
  AlterEnumStmt: ({ enums }, { typeName, oldVal, newVal }) => {
    const key = keyOf(qualified(typeName));
    const before = enums.get(key)?.values ?? [];
    const values = [...before.filter((value) => value !== oldVal), text(newVal)];
    enums.set(key, { values, goneIn: null });
  },
};

/** The kinds of statement whose tree the history reads. */
export const REPLAYED_KINDS: readonly string[] = Object.keys(REPLAY);

function newTable(createdIn: string | null, partitioned = false): TableRecord {
  return { createdIn, partitioned, columns: new Map(), proofs: new Map() };
}

function tableRecord(tables: Parts["tables"], table: ObjectName): TableRecord {
  const known = tables.get(keyOf(table)) ?? newTable(null);
  tables.set(keyOf(table), known);
  return known;
}

function addColumn({ columns }: TableRecord, { colname, typeName }: Node, addedIn: string): void {
  columns.set(text(colname), { addedIn, type: typeOf(typeName) });
}

function alter(table: TableRecord, command: AlterCommand, tag: string): void {
  const { subtype, name, def } = command;
  const column = addedColumn(command);
  if (column !== null) addColumn(table, column, tag);
  const constraint = addedConstraint(command);
  if (constraint?.contype === "CONSTR_CHECK") {
    const columns = columnsProvenBy(constraint.raw_expr);
    const validated = constraint.skip_validation !== true;
    table.proofs.set(text(constraint.conname), { columns, validated });
  }
  if (subtype === "AT_DropColumn") table.columns.delete(name);
  if (subtype === "AT_AlterColumnType") changeType(table, name, record(def.ColumnDef));
  if (subtype === "AT_DropConstraint") table.proofs.delete(name);
  if (subtype === "AT_ValidateConstraint") {
    const proof = table.proofs.get(name);
    if (proof !== undefined) table.proofs.set(name, { ...proof, validated: true });
  }
}

function changeType({ columns }: TableRecord, name: string, { typeName }: Node): void {
  const known = columns.get(name);
  if (known !== undefined) columns.set(name, { ...known, type: typeOf(typeName) });
}

function rename({ tables, enums }: Parts, node: Node, tag: string): void {
  const { renameType, relation: of, object, subname, newname } = node;
  const table = relation(of);
  if (renameType === "OBJECT_TABLE") moveKey(tables, table, { ...table, name: text(newname) });
  if (renameType === "OBJECT_TYPE")
    loseEnum(enums, qualified(record(record(object).List).items), tag);
  if (renameType !== "OBJECT_COLUMN") return;
  const columns = tables.get(keyOf(table))?.columns;
  const column = columns?.get(text(subname));
  if (columns === undefined || column === undefined) return;
  columns.delete(text(subname));
  columns.set(text(newname), column);
}

function moveKey(tables: Parts["tables"], from: ObjectName, to: ObjectName): void {
  const known = tables.get(keyOf(from));
  if (known === undefined) return;
  tables.delete(keyOf(from));
  tables.set(keyOf(to), known);
}

/** An enum that no migration created may still be swapped: then its values are not known. */
function loseEnum(enums: Parts["enums"], type: ObjectName, goneIn: string): void {
  enums.set(keyOf(type), { values: enums.get(keyOf(type))?.values ?? [], goneIn });
}

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
