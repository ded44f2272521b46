import type { ObjectName } from "./names.ts";

/** A type as the parser names it: `varchar(20)[]` is `varchar`, `[20]`, true. */
export interface TypeReference extends ObjectName {
  readonly modifiers: readonly number[];
  readonly array: boolean;
  /** Whether the new value is computed by more than a cast of the column to this type. */
  readonly computed: boolean;
}

/** The type of a column. */
export type ColumnType = Omit<TypeReference, "computed">;

/**
 * Whether values of one type are valid as values of another without a change: then a change of type rewrites nothing.
 * A case that is not certain here is left to the catalog.
 * Source: ATColumnChangeRequiresRewrite in PostgreSQL 18, and the planner support functions of the length coercions.
 */
export function isKeptAsItIs(from: ColumnType, to: ColumnType): boolean {
  if (from.array !== to.array || from.schema !== to.schema) return false;
  const same = String(from.modifiers) === String(to.modifiers);
  // PostgreSQL converts the elements of an array one by one as soon as there is a limit to keep.
  if (from.array) return from.name === to.name && (same || to.modifiers.length === 0);
  if (isText(from) && isText(to)) return isWider(from, to);
  if (from.name !== to.name) return false;
  if (same) return true;
  return WIDENED.has(from.name) && isWider(from, to);
}

const isText = ({ name }: ColumnType): boolean => name === "text" || name === "varchar";

/** Types whose values need no look when their limit grows. */
const WIDENED: ReadonlySet<string> = new Set([
  "varchar",
  "varbit",
  "numeric",
  "time",
  "timestamp",
  "timestamptz",
]);

/** Whether the new limits hold every value. No limit does; a larger one does if the scale stays. */
function isWider(from: ColumnType, to: ColumnType): boolean {
  const [limit, scale = 0] = from.modifiers;
  const [newLimit, newScale = 0] = to.modifiers;
  if (newLimit === undefined) return true;
  return limit !== undefined && limit <= newLimit && scale === newScale;
}
