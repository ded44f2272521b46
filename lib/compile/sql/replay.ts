import type { ObjectName } from "../../postgres/names.ts";
import {
  addColumn,
  alter,
  create,
  drop,
  dropAll,
  find,
  findByIndex,
  keysIn,
  move,
  moveKey,
  type Step,
  tableRecord,
} from "./table-records.ts";
import {
  alterCommands,
  dropped,
  keyOf,
  type Node,
  nodes,
  qualified,
  record,
  relation,
  strings,
  text,
} from "./tree.ts";

/** An enum, as the statements so far leave it. */
export interface EnumRecord {
  readonly values: readonly string[];
  /** Tag of the migration that drops or renames it; null while the enum is there. */
  readonly goneIn: string | null;
}

/** The objects that the statements so far leave, and the tag of the current migration. */
interface Parts extends Step {
  /** The enums, by `keyOf` their names. */
  readonly enums: Map<string, EnumRecord>;
  /** The tag of the migration that creates a schema, by the schema's name. */
  readonly schemas: Map<string, string>;
}

type Effect = (parts: Parts, node: Node) => void;

/** The effects of each kind of statement of which the history takes note. */
export const REPLAY: Readonly<Record<string, Effect>> = {
  CreateStmt: (parts, node) => {
    const [of] = nodes(node.inhRelations, "RangeVar").map(relation);
    const isPartition = of !== undefined && node.partbound !== undefined;
    const made = create(parts, node.relation, node.if_not_exists, {
      partitioned: node.partspec !== undefined,
      parent: isPartition ? tableRecord(parts, of) : null,
    });
    for (const column of nodes(node.tableElts, "ColumnDef")) {
      if (made !== null) addColumn(made, column, parts.tag);
    }
  },
  CreateTableAsStmt: (parts, { into, objtype, if_not_exists }) => {
    const materialized = objtype === "OBJECT_MATVIEW";
    create(parts, record(into).rel, if_not_exists, { materialized });
  },
  CreateSchemaStmt: ({ schemas, tag }, { schemaname, if_not_exists }) => {
    const name = text(schemaname);
    if (if_not_exists !== true || !schemas.has(name)) schemas.set(name, tag);
  },
  IndexStmt: (parts, { relation: of, idxname }) => {
    if (idxname !== undefined) tableRecord(parts, relation(of)).indexes.add(text(idxname));
  },
  AlterTableStmt: (parts, node) => {
    for (const command of alterCommands(node)) {
      alter(tableRecord(parts, relation(node.relation)), command, parts.tag);
    }
  },
  DropStmt: (parts, node) => {
    for (const name of dropped(node)) DROP[text(node.removeType)]?.(parts, name);
  },
  RenameStmt: (parts, node) => RENAME[text(node.renameType)]?.(parts, node),
  AlterObjectSchemaStmt: (parts, node) => {
    move(parts, find(parts.tables, relation(node.relation)), { schema: text(node.newschema) });
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

const dropTable = ({ tables }: Parts, name: ObjectName): void => drop(tables, find(tables, name));

const DROP: Readonly<Record<string, (parts: Parts, name: ObjectName) => void>> = {
  OBJECT_TABLE: dropTable,
  OBJECT_MATVIEW: dropTable,
  OBJECT_INDEX: ({ tables }, name) => findByIndex(tables, name)?.indexes.delete(name.name),
  OBJECT_TYPE: loseEnum,
  OBJECT_SCHEMA: ({ tables, enums, schemas }, { name }) => {
    dropAll(tables, name);
    for (const key of keysIn(enums, name)) enums.delete(key);
    schemas.delete(name);
  },
};

const renameTable: Effect = (parts, { relation: of, newname }) =>
  move(parts, find(parts.tables, relation(of)), { name: text(newname) });

const RENAME: Readonly<Record<string, Effect>> = {
  OBJECT_TABLE: renameTable,
  OBJECT_MATVIEW: renameTable,
  OBJECT_SCHEMA: (parts, { subname, newname }) => {
    const { tables, enums, schemas } = parts;
    const [from, to] = [text(subname), text(newname)];
    for (const key of keysIn(tables, from)) move(parts, tables.get(key), { schema: to });
    for (const key of keysIn(enums, from)) {
      moveKey(enums, key, keyOf({ schema: to, name: key.slice(from.length + 1) }));
    }
    moveKey(schemas, from, to);
  },
  OBJECT_TYPE: (parts, { object }) => loseEnum(parts, qualified(record(record(object).List).items)),
  OBJECT_COLUMN: ({ tables }, { relation: of, subname, newname }) => {
    const columns = find(tables, relation(of))?.columns;
    if (columns !== undefined) moveKey(columns, text(subname), text(newname));
  },
};

/** Notes the loss of an enum. An enum that no migration created may be swapped, too: its values are not known. */
function loseEnum({ enums, tag: goneIn }: Parts, type: ObjectName): void {
  enums.set(keyOf(type), { values: enums.get(keyOf(type))?.values ?? [], goneIn });
}
