import type { ObjectName } from "../../../postgres/names.ts";
import { qualified, walk } from "../../sql/tree.ts";

/** A function call in a default whose value differs, or may differ, from row to row. */
interface VolatileCall {
  readonly routine: ObjectName;
  /** Whether the value is known to differ; otherwise only the catalog can tell. */
  readonly known: boolean;
}

/** Volatile functions that stand in defaults, of PostgreSQL 18 and its own extensions. */
const VOLATILE: ReadonlySet<string> = new Set([
  "random",
  "random_normal",
  "clock_timestamp",
  "timeofday",
  "nextval",
  "setval",
  "currval",
  "lastval",
  "gen_random_uuid",
  "uuidv4",
  "uuidv7",
  "gen_random_bytes",
  "gen_salt",
  "uuid_generate_v1",
  "uuid_generate_v1mc",
  "uuid_generate_v4",
  "uuid_generate_v7",
  "gen_ulid",
  "pg_sleep",
]);

/** Functions that stand in defaults, and give every row of a statement the same value. */
const CONSTANT: ReadonlySet<string> = new Set([
  "now",
  "statement_timestamp",
  "transaction_timestamp",
  "timezone",
  "date_trunc",
  "date_part",
  "extract",
  "to_char",
  "to_date",
  "to_timestamp",
  "make_date",
  "make_interval",
  "make_timestamp",
  "make_timestamptz",
  "lower",
  "upper",
  "md5",
  "concat",
  "concat_ws",
  "format",
  "left",
  "right",
  "substr",
  "substring",
  "replace",
  "repeat",
  "lpad",
  "rpad",
  "trim",
  "btrim",
  "encode",
  "decode",
  "digest",
  "coalesce",
  "nullif",
  "greatest",
  "least",
  "abs",
  "ceil",
  "floor",
  "round",
  "power",
  "array",
  "array_fill",
  "string_to_array",
  "json_build_object",
  "json_build_array",
  "jsonb_build_object",
  "jsonb_build_array",
  "to_json",
  "to_jsonb",
  "jsonb_object",
  "json_object",
  "to_tsvector",
  "current_setting",
  "current_database",
  "current_schema",
  "txid_current",
  "pg_current_xact_id",
  "int4range",
  "int8range",
  "numrange",
  "tsrange",
  "tstzrange",
  "daterange",
  "uuid_nil",
  "point",
  "box",
  "hashtext",
  "length",
  "chr",
  "ascii",
  "age",
  "localtimestamp",
]);

/** Returns the worst call in an expression; null where every row gets the same value. */
export function volatileCall(expression: unknown): VolatileCall | null {
  const calls: ObjectName[] = [];
  walk(expression, (name, node) => {
    if (name === "FuncCall") calls.push(qualified(node.funcname));
  });
  const builtIn = ({ schema }: ObjectName): boolean => schema === null || schema === "pg_catalog";
  const known = calls.find(({ name }) => VOLATILE.has(name));
  if (known !== undefined) return { routine: known, known: true };
  const unknown = calls.find((call) => !(builtIn(call) && CONSTANT.has(call.name)));
  return unknown === undefined ? null : { routine: unknown, known: false };
}
