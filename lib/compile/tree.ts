import type { ObjectName } from "../bundle.ts";
import { type Node, nodes } from "../check/tree.ts";

/** The last two parts of a name; a database in front is left out. */
export function nameOf(parts: readonly string[]): ObjectName {
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? "" };
}

/** The option of this name (`DefElem`) in a list of them. */
export function option(options: unknown, name: string): Node | undefined {
  return nodes(options, "DefElem").find(({ defname }) => defname === name);
}
