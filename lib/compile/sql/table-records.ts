import type { ObjectName } from "../../postgres/names.ts";
import type { ColumnType } from "../../postgres/types.ts";
import {
  type AlterCommand,
  addedColumn,
  addedConstraint,
  columnsProvenBy,
  keyOf,
  type Node,
  record,
  relation,
  text,
  typeOf,
} from "./tree.ts";

/** A table, a partition or a materialized view, as the statements so far leave it. */
interface TableRecord {
  name: ObjectName;
  /** Tag of the migration that creates the table; null where it was there before all migrations. */
  readonly createdIn: string | null;
  /** Tag of the migration that gave it its present name. */
  namedIn: string;
  readonly materialized: boolean;
  readonly partitioned: boolean;
  /** The table of which this one is a partition; null for any other table. */
  readonly parent: TableRecord | null;
  readonly columns: Map<string, ColumnRecord>;
  /** CHECK constraints that prove columns to be without nulls, by name. */
  readonly proofs: Map<string, Proof>;
  readonly indexes: Set<string>;
}

interface ColumnRecord {
  readonly addedIn: string;
  readonly type: ColumnType;
}

interface Proof {
  readonly columns: readonly string[];
  readonly validated: boolean;
}

/** The tables that the statements so far leave, by `keyOf` their names. */
export class Tables extends Map<string, TableRecord> {
  #temporary = false;

  /** Whether a table may be a temporary one. */
  get mayHaveTemporary(): boolean {
    return this.#temporary;
  }

  override set(key: string, table: TableRecord): this {
    this.#temporary ||= key.startsWith(keyOf({ schema: TEMPORARY, name: "" }));
    return super.set(key, table);
  }

  /** Takes the temporary tables away. Nearly no folder has one, and to look at all tables takes time for each file. */
  endSession(): void {
    if (this.#temporary) dropAll(this, TEMPORARY);
    this.#temporary = false;
  }
}

/** The tables before a statement, and the tag of the statement's migration. */
export interface Step {
  readonly tables: Tables;
  readonly tag: string;
}

/** The schema of temporary tables. PostgreSQL looks there first for a name without a schema. */
export const TEMPORARY = "pg_temp";

/** Finds a table by its name as PostgreSQL does: a temporary table hides another of the same name. */
export function find(tables: Tables, name: ObjectName): TableRecord | undefined {
  const isHidden = tables.mayHaveTemporary && name.schema === null;
  const temporary = isHidden ? keyOf({ ...name, schema: TEMPORARY }) : "";
  return tables.get(temporary) ?? tables.get(keyOf(name));
}

/** Finds the table of the index with this name. */
export function findByIndex(tables: Tables, index: ObjectName): TableRecord | undefined {
  // A folder may drop thousands of indexes: no list of the tables is made for each.
  for (const table of tables.values()) {
    if (table.indexes.has(index.name) && isSchemaOf(table, index)) return table;
  }
  return undefined;
}

/** Whether the name of an index is looked for in a table's schema. */
function isSchemaOf({ name }: TableRecord, index: ObjectName): boolean {
  const schema = index.schema === null && name.schema === TEMPORARY ? null : name.schema;
  return keyOf({ ...index, schema }) === keyOf(index);
}

/**
 * Takes note of a new table.
 * @param made the `RangeVar` with its name
 * @returns null where IF NOT EXISTS finds the table there already
 */
export function create(
  { tables, tag }: Step,
  made: unknown,
  ifNotExists: unknown,
  facts: Partial<TableRecord>,
): TableRecord | null {
  const { schema, name } = relation(made);
  const temporary = record(made).relpersistence === "t";
  const place = { schema: temporary ? TEMPORARY : schema, name };
  if (ifNotExists === true && tables.has(keyOf(place))) return null;
  const table = { ...newTable(place, tag), createdIn: tag, ...facts };
  tables.set(keyOf(place), table);
  return table;
}

function newTable(name: ObjectName, namedIn: string): TableRecord {
  return {
    ...{ name, namedIn, createdIn: null, materialized: false, partitioned: false, parent: null },
    ...{ columns: new Map(), proofs: new Map(), indexes: new Set() },
  };
}

/** Returns the record of a table. A table that no migration creates was there before all migrations. */
export function tableRecord({ tables, tag }: Step, name: ObjectName): TableRecord {
  const known = find(tables, name) ?? newTable(name, tag);
  tables.set(keyOf(known.name), known);
  return known;
}

/** Gives a table another name, another schema, or both. */
export function move(
  { tables, tag }: Step,
  table: TableRecord | undefined,
  to: Partial<ObjectName>,
): void {
  if (table === undefined) return;
  tables.delete(keyOf(table.name));
  table.name = { ...table.name, ...to };
  table.namedIn = tag;
  tables.set(keyOf(table.name), table);
}

/** Takes a table away, with its partitions. */
export function drop(tables: Tables, table: TableRecord | undefined): void {
  if (table === undefined) return;
  tables.delete(keyOf(table.name));
  for (const each of [...tables.values()]) if (each.parent === table) drop(tables, each);
}

/** Takes away the tables of a schema. */
export function dropAll(tables: Tables, schema: string): void {
  for (const key of keysIn(tables, schema)) drop(tables, tables.get(key));
}

/** Returns the keys of the objects in a schema. */
export function keysIn(all: ReadonlyMap<string, unknown>, schema: string): readonly string[] {
  return [...all.keys()].filter((key) => key.startsWith(keyOf({ schema, name: "" })));
}

/** Moves a value to another key, if there is one. */
export function moveKey<Value>(all: Map<string, Value>, from: string, to: string): void {
  const known = all.get(from);
  if (known === undefined) return;
  all.delete(from);
  all.set(to, known);
}

/** Takes note of a new column. */
export function addColumn(
  { columns }: TableRecord,
  { colname, typeName }: Node,
  addedIn: string,
): void {
  columns.set(text(colname), { addedIn, type: typeOf(typeName) });
}

/** Takes note of one command of an ALTER TABLE. */
export function alter(table: TableRecord, command: AlterCommand, tag: string): void {
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
