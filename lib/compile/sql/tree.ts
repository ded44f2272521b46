import { type ObjectName, quoteName } from "../../postgres/names.ts";
import type { ColumnType } from "../../postgres/types.ts";

/** A node of PostgreSQL's parse tree, or the value behind its name: fields by their names. */
export type Node = Readonly<Record<string, unknown>>;

/** Returns a node's fields; none for any other value. */
export function record(value: unknown): Node {
  // The type of every field is checked before it is used.
  return typeof value === "object" && value !== null ? (value as Node) : {};
}

/** Returns the elements of a list; none for any other value. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Returns a text; an empty one for any other value. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Returns the fields of each node of this name in a list. */
export function nodes(value: unknown, name: string): readonly Node[] {
  return list(value)
    .map((each) => record(each)[name])
    .filter((node) => node !== undefined)
    .map(record);
}

/** Returns the texts of a list of `String` nodes. */
export function strings(value: unknown): readonly string[] {
  return nodes(value, "String").map(({ sval }) => text(sval));
}

/** Returns the name in a `RangeVar`. */
export function relation(value: unknown): ObjectName {
  const { schemaname, relname } = record(value);
  return { schema: typeof schemaname === "string" ? schemaname : null, name: text(relname) };
}

/** Makes a name of the last two parts; a database in front is left out. */
export function nameOf(parts: readonly string[]): ObjectName {
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? "" };
}

/** Reads a name from a list of strings: `[schema, name]` or `[name]`. */
export function qualified(value: unknown): ObjectName {
  return nameOf(strings(value));
}

/** Finds the option of this name (`DefElem`) in a list of options. */
export function option(options: unknown, name: string): Node | undefined {
  return nodes(options, "DefElem").find(({ defname }) => defname === name);
}

/** Returns the objects that a `DropStmt` names. */
export function dropped({ objects }: Node): readonly ObjectName[] {
  return list(objects).map((each) => {
    const { List, TypeName, String: single } = record(each);
    if (single !== undefined) return { schema: null, name: text(record(single).sval) };
    return qualified(TypeName === undefined ? record(List).items : record(TypeName).names);
  });
}

/** Makes a key of a name. drizzle-kit never writes `public`, so a name with it and one without have the same key. */
export function keyOf({ schema, name }: ObjectName): string {
  // No name holds this character.
  return `${schema ?? "public"}\0${name}`;
}

/** Reads the type in a `ColumnDef` or a `TypeCast`. */
export function typeOf(value: unknown): ColumnType {
  const { names, typmods, arrayBounds } = record(value);
  const { schema, name } = qualified(names);
  return {
    schema: schema === "pg_catalog" ? null : schema,
    name,
    modifiers: nodes(typmods, "A_Const").map(({ ival }) => Number(record(ival).ival ?? 0)),
    array: list(arrayBounds).length > 0,
  };
}

/** The SQL names of the types that have another name in the tree. */
const SQL_TYPES: Readonly<Record<string, string>> = {
  int2: "smallint",
  int4: "integer",
  int8: "bigint",
  float4: "real",
  float8: "double precision",
  bool: "boolean",
  bpchar: "char",
};

/** Each name of a serial type, with the integer type of its column. */
const SERIALS: ReadonlyMap<string, string> = new Map([
  ["serial", "integer"],
  ["serial4", "integer"],
  ["bigserial", "bigint"],
  ["serial8", "bigint"],
  ["smallserial", "smallint"],
  ["serial2", "smallint"],
]);

/** Returns the integer type of a serial type; null for every other type. */
export function serialInteger({ name }: ColumnType): string | null {
  return SERIALS.get(name) ?? null;
}

/** Writes a type as SQL. */
export function sqlType(type: ColumnType): string {
  const known = type.schema === null ? SQL_TYPES[type.name] : undefined;
  const plain = /^[a-z_][a-z0-9_]*$/.test(type.name) && type.schema === null;
  const name = known ?? (plain ? type.name : quoteName(type));
  const modifiers = type.modifiers.length === 0 ? "" : `(${type.modifiers.join(", ")})`;
  return `${name}${modifiers}${type.array ? "[]" : ""}`;
}

/** One command of an ALTER TABLE: its subtype, the name of its column or constraint, its definition. */
export interface AlterCommand {
  readonly subtype: string;
  readonly name: string;
  readonly def: Node;
}

/** Makes a reader that reads each node once: the rules of one kind of statement all ask for the same. */
export function oncePerNode<Read extends object>(read: (node: Node) => Read): (node: Node) => Read {
  const known = new WeakMap<Node, Read>();
  return (node) => {
    const result = known.get(node) ?? read(node);
    known.set(node, result);
    return result;
  };
}

/** Returns the commands of an `AlterTableStmt` for a table; none for an index or a view. */
export const alterCommands: (node: Node) => readonly AlterCommand[] = oncePerNode((node) => {
  if (node.objtype !== "OBJECT_TABLE") return [];
  return nodes(node.cmds, "AlterTableCmd").map(({ subtype, name, def }) => ({
    subtype: text(subtype),
    name: text(name),
    def: record(def),
  }));
});

/** Returns the constraint that a command adds; null for any other command. */
export function addedConstraint({ subtype, def }: AlterCommand): Node | null {
  return subtype === "AT_AddConstraint" ? record(def.Constraint) : null;
}

/** Returns the column that a command adds; null for any other command. */
export function addedColumn({ subtype, def }: AlterCommand): Node | null {
  return subtype === "AT_AddColumn" ? record(def.ColumnDef) : null;
}

/** Returns the constraints in a column's definition. */
export function columnConstraints(column: Node): readonly Node[] {
  return nodes(column.constraints, "Constraint");
}

/** Returns the columns that a CHECK proves to have no nulls: `column IS NOT NULL`, alone or in a conjunction. */
export function columnsProvenBy(expression: unknown): readonly string[] {
  const { NullTest, BoolExpr } = record(expression);
  if (NullTest !== undefined) {
    const { arg, nulltesttype } = record(NullTest);
    const column = columnIn(arg);
    return nulltesttype === "IS_NOT_NULL" && column !== null ? [column] : [];
  }
  const { boolop, args } = record(BoolExpr);
  return boolop === "AND_EXPR" ? list(args).flatMap(columnsProvenBy) : [];
}

/** Returns the column's name where an expression is a column and nothing else. */
export function columnIn(expression: unknown): string | null {
  const fields = record(record(expression).ColumnRef).fields;
  return strings(fields).at(-1) ?? null;
}

/**
 * Calls `visit` with the name and the fields of every node of a tree, from its root to its leaves. It keeps its own
 * stack: a chain of thousands of operators makes a tree that is as deep.
 */
export function walk(value: unknown, visit: (name: string, node: Node) => void): void {
  const open = Object.entries(record(value)).reverse();
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    const [name, child] = entry;
    if (typeof child !== "object" || child === null) continue;
    if (!Array.isArray(child)) visit(name, record(child));
    for (const each of Object.entries(child).reverse()) open.push(each);
  }
}
