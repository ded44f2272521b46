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
 * Whether the values of one type are valid as another as they are, so that a change of type rewrites nothing.
 * What is not known here for certain is left to the catalog.
 * Source: ATColumnChangeRequiresRewrite in PostgreSQL 18, and the planner support functions of the length coercions.
 */
export function isKeptAsItIs(from: ColumnType, to: ColumnType): boolean {
  if (from.array !== to.array || from.schema !== to.schema) return false;
  const same = String(from.modifiers) === String(to.modifiers);
  // The elements of an array are converted one by one as soon as there is a limit to be kept.
  if (from.array) return from.name === to.name && (same || to.modifiers.length === 0);
  if (isText(from) && isText(to)) return isWider(from, to);
  if (from.name !== to.name) return false;
  if (same) return true;
  return WIDENED.has(from.name) && isWider(from, to);
}

const isText = ({ name }: ColumnType): boolean => name === "text" || name === "varchar";

/** The types of which a larger limit needs no look at the values. */
const WIDENED: ReadonlySet<string> = new Set([
  "varchar",
  "varbit",
  "numeric",
  "time",
  "timestamp",
  "timestamptz",
]);

/** A limit that is gone holds every value; a scale may not change. */
function isWider(from: ColumnType, to: ColumnType): boolean {
  const [limit, scale = 0] = from.modifiers;
  const [newLimit, newScale = 0] = to.modifiers;
  if (newLimit === undefined) return true;
  return limit !== undefined && limit <= newLimit && scale === newScale;
}
