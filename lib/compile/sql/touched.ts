import type { Touched } from "../../bundle/bundle.ts";
import type { LockMode } from "../../postgres/locks.ts";
import type { ObjectName } from "../../postgres/names.ts";
import { nameOf, qualified, record, relation, strings, text } from "./tree.ts";

/** Something touched, with the lock on it where there is one. */
export function on(kind: string, name: ObjectName, lock?: LockMode): Touched {
  return { kind, ...name, ...(lock === undefined ? {} : { lock }) };
}

/** `OBJECT_FOREIGN_TABLE` is a `foreign-table`. */
export function kindOf(objectType: unknown): string {
  const kind = text(objectType)
    .replace(/^OBJECT_/, "")
    .toLowerCase()
    .replaceAll("_", "-");
  return kind === "matview" ? "materialized-view" : kind;
}

/** The kinds of object that tables, rows and locks are of. */
export const RELATIONS: readonly string[] = [
  "table",
  "view",
  "materialized-view",
  "foreign-table",
  "sequence",
  "index",
];

/** What belongs to a table, and is named with it: `DROP POLICY p ON t`. */
export const PARTS_OF_TABLES: readonly string[] = ["trigger", "rule", "policy"];

/** `[schema, table, name]` or `[table, name]`. */
export function partOfTable(kind: string, object: unknown, lock?: LockMode): readonly Touched[] {
  const parts = partsOf(object);
  return [
    on(kind, { schema: null, name: parts.at(-1) ?? "" }),
    on("table", nameOf(parts.slice(0, -1)), lock),
  ];
}

/** The parts of a name that is a `List` of strings. */
export function partsOf(object: unknown): readonly string[] {
  return strings(record(record(object).List).items);
}

/** A name in whichever node the grammar puts it: a list, one string, a type, or a function with arguments. */
export function objectName(object: unknown): ObjectName {
  const { List, String: single, TypeName, ObjectWithArgs, RangeVar } = record(object);
  if (List !== undefined) return nameOf(partsOf(object));
  if (TypeName !== undefined) return qualified(record(TypeName).names);
  if (ObjectWithArgs !== undefined) return qualified(record(ObjectWithArgs).objname);
  if (RangeVar !== undefined) return relation(RangeVar);
  return { schema: null, name: text(record(single).sval) };
}
