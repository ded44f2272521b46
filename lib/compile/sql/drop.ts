import type { Touched } from "../../bundle/bundle.ts";
import type { LockMode } from "../../postgres/locks.ts";
import type { ObjectName } from "../../postgres/names.ts";
import { kindOf, objectName, on, PARTS_OF_TABLES, partOfTable, RELATIONS } from "./touched.ts";
import { list, type Node } from "./tree.ts";

/** The kinds of object that a view can read. */
const READABLE: readonly string[] = ["table", "view", "materialized-view", "foreign-table"];

/** The objects that a DROP of each kind locks beside those that it names. */
const DROPPED_WITH: Readonly<
  Record<string, (name: ObjectName, lock: LockMode) => readonly Touched[]>
> = {
  table: (name, lock) => [
    on("tables-linked-by-foreign-key", name, lock),
    on("parents-of-table", name, lock),
  ],
  index: (name, lock) => [on("table-of-index", name, lock)],
  schema: ({ name }, lock) => [on("tables-of-schema", { schema: null, name }, lock)],
  "statistic-ext": (name) => [on("table-of-statistics", name, "SHARE UPDATE EXCLUSIVE")],
};

/** Returns the objects that a DROP names or locks. */
export function drop({ removeType, objects, concurrent, behavior }: Node): readonly Touched[] {
  const kind = kindOf(removeType);
  const lock = concurrent === true ? "SHARE UPDATE EXCLUSIVE" : "ACCESS EXCLUSIVE";
  return list(objects).flatMap((each) => {
    if (PARTS_OF_TABLES.includes(kind)) return partOfTable(kind, each, "ACCESS EXCLUSIVE");
    const name = objectName(each);
    const own = on(kind, name, RELATIONS.includes(kind) ? lock : undefined);
    const cascades = behavior === "DROP_CASCADE" && READABLE.includes(kind);
    const readers = cascades ? [on("views-reading", name, lock)] : [];
    return [own, ...(DROPPED_WITH[kind]?.(name, lock) ?? []), ...readers];
  });
}
