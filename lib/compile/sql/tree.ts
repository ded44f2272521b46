import { type ObjectName, quoteName } from "../../postgres/names.ts";
import type { ColumnType } from "../../postgres/types.ts";

/** A node of PostgreSQL's parse tree, or what stands behind its name: fields by their names. */
export type Node = Readonly<Record<string, unknown>>;

/** A node's fields; none for what is no node. */
export function record(value: unknown): Node {
  // Every field is looked at again before it is used.
  return typeof value === "object" && value !== null ? (value as Node) : {};
}

/** The elements of a list; none for what is no list. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text; empty for what is none. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The fields of each node of this name in a list. */
export function nodes(value: unknown, name: string): readonly Node[] {
  return list(value)
    .map((each) => record(each)[name])
    .filter((node) => node !== undefined)
    .map(record);
}

/** The texts of a list of `String` nodes. */
export function strings(value: unknown): readonly string[] {
  return nodes(value, "String").map(({ sval }) => text(sval));
}

/** The name in a `RangeVar`. */
export function relation(value: unknown): ObjectName {
  const { schemaname, relname } = record(value);
  return { schema: typeof schemaname === "string" ? schemaname : null, name: text(relname) };
}

/** The last two parts of a name; a database in front is left out. */
export function nameOf(parts: readonly string[]): ObjectName {
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? "" };
}

/** A name given as a list of strings: `[schema, name]` or `[name]`. */
export function qualified(value: unknown): ObjectName {
  return nameOf(strings(value));
}

/** The option of this name (`DefElem`) in a list of them. */
export function option(options: unknown, name: string): Node | undefined {
  return nodes(options, "DefElem").find(({ defname }) => defname === name);
}

/** The objects that a `DropStmt` names. */
export function dropped({ objects }: Node): readonly ObjectName[] {
  return list(objects).map((each) => {
    const { List, TypeName, String: single } = record(each);
    if (single !== undefined) return { schema: null, name: text(record(single).sval) };
    return qualified(TypeName === undefined ? record(List).items : record(TypeName).names);
  });
}

/** drizzle-kit writes `public` nowhere, so a name with it and one without are one. */
export function keyOf({ schema, name }: ObjectName): string {
  // No name holds the character between them.
  return `${schema ?? "public"}\0${name}`;
}

/** What a `ColumnDef` or a `TypeCast` says of a type. */
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

/** How SQL calls the types whose names in the tree are others. */
const SQL_TYPES: Readonly<Record<string, string>> = {
  int2: "smallint",
  int4: "integer",
  int8: "bigint",
  float4: "real",
  float8: "double precision",
  bool: "boolean",
  bpchar: "char",
};

/** Each name of a serial type, with the integer that its column has. */
const SERIALS: ReadonlyMap<string, string> = new Map([
  ["serial", "integer"],
  ["serial4", "integer"],
  ["bigserial", "bigint"],
  ["serial8", "bigint"],
  ["smallserial", "smallint"],
  ["serial2", "smallint"],
]);

/** The integer of a serial type; null for every other type. */
export function serialInteger({ name }: ColumnType): string | null {
  return SERIALS.get(name) ?? null;
}

/** A type as SQL. */
export function sqlType(type: ColumnType): string {
  const known = type.schema === null ? SQL_TYPES[type.name] : undefined;
  const plain = /^[a-z_][a-z0-9_]*$/.test(type.name) && type.schema === null;
  const name = known ?? (plain ? type.name : quoteName(type));
  const modifiers = type.modifiers.length === 0 ? "" : `(${type.modifiers.join(", ")})`;
  return `${name}${modifiers}${type.array ? "[]" : ""}`;
}

/** One command of an ALTER TABLE: its subtype, the column or constraint that it names, its definition. */
export interface AlterCommand {
  readonly subtype: string;
  readonly name: string;
  readonly def: Node;
}

/** Reads something out of a node once: the rules of one kind of statement all ask for the same. */
export function oncePerNode<Read extends object>(read: (node: Node) => Read): (node: Node) => Read {
  const known = new WeakMap<Node, Read>();
  return (node) => {
    const result = known.get(node) ?? read(node);
    known.set(node, result);
    return result;
  };
}

/** The commands of an `AlterTableStmt` of a table; none for one of an index or a view. */
export const alterCommands: (node: Node) => readonly AlterCommand[] = oncePerNode((node) => {
  if (node.objtype !== "OBJECT_TABLE") return [];
  return nodes(node.cmds, "AlterTableCmd").map(({ subtype, name, def }) => ({
    subtype: text(subtype),
    name: text(name),
    def: record(def),
  }));
});

/** The constraint that a command adds; null where it adds none. */
export function addedConstraint({ subtype, def }: AlterCommand): Node | null {
  return subtype === "AT_AddConstraint" ? record(def.Constraint) : null;
}

/** The column that a command adds; null where it adds none. */
export function addedColumn({ subtype, def }: AlterCommand): Node | null {
  return subtype === "AT_AddColumn" ? record(def.ColumnDef) : null;
}

/** The constraints that stand with a column. */
export function columnConstraints(column: Node): readonly Node[] {
  return nodes(column.constraints, "Constraint");
}

/** The column that `CHECK (column IS NOT NULL)` is about, also as part of a conjunction. */
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

/** The name where an expression is a column and nothing else. */
export function columnIn(expression: unknown): string | null {
  const fields = record(record(expression).ColumnRef).fields;
  return strings(fields).at(-1) ?? null;
}

/** Calls `visit` with the name and the fields of every node of a tree. */
export function walk(value: unknown, visit: (name: string, node: Node) => void): void {
  for (const [name, child] of Object.entries(record(value))) {
    if (typeof child !== "object" || child === null) continue;
    if (!Array.isArray(child)) visit(name, record(child));
    walk(child, visit);
  }
}
