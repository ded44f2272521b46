import type { Touched } from "../../bundle/bundle.ts";
import type { LockMode } from "../../postgres/locks.ts";
import type { ObjectName } from "../../postgres/names.ts";
import { nameOf, qualified, record, relation, strings, text } from "./tree.ts";

/** Makes the entry of an object that a statement touches, with its lock if it takes one. */
export function on(kind: string, name: ObjectName, lock?: LockMode): Touched {
  return { kind, ...name, ...(lock === undefined ? {} : { lock }) };
}

/** Returns our name for the parser's name of a kind: `foreign-table` for `OBJECT_FOREIGN_TABLE`. */
export function kindOf(objectType: unknown): string {
  const kind = text(objectType)
    .replace(/^OBJECT_/, "")
    .toLowerCase()
    .replaceAll("_", "-");
  return kind === "matview" ? "materialized-view" : kind;
}

/** The kinds of object on which PostgreSQL takes table locks. */
export const RELATIONS: readonly string[] = [
  "table",
  "view",
  "materialized-view",
  "foreign-table",
  "sequence",
  "index",
];

/** The kinds of object that belong to a table, and are named with it: `DROP POLICY p ON t`. */
export const PARTS_OF_TABLES: readonly string[] = ["trigger", "rule", "policy"];

/** Reads the name of a part of a table: `[schema, table, name]` or `[table, name]`. */
export function partOfTable(kind: string, object: unknown, lock?: LockMode): readonly Touched[] {
  const parts = partsOf(object);
  return [
    on(kind, { schema: null, name: parts.at(-1) ?? "" }),
    on("table", nameOf(parts.slice(0, -1)), lock),
  ];
}

/** Returns the parts of a name that is a `List` of strings. */
export function partsOf(object: unknown): readonly string[] {
  return strings(record(record(object).List).items);
}

/** Reads a name from any node of the grammar: a list, one string, a type, or a function with arguments. */
export function objectName(object: unknown): ObjectName {
  const { List, String: single, TypeName, ObjectWithArgs, RangeVar } = record(object);
  if (List !== undefined) return nameOf(partsOf(object));
  if (TypeName !== undefined) return qualified(record(TypeName).names);
  if (ObjectWithArgs !== undefined) return qualified(record(ObjectWithArgs).objname);
  if (RangeVar !== undefined) return relation(RangeVar);
  return { schema: null, name: text(record(single).sval) };
}
