import { type ObjectName, quoteLiteral } from "./names.ts";

/** For a table named without a schema: found along the search path, or in the schema where CREATE TABLE would make it. */
type Unqualified = "along-the-path" | "where-it-is-made";

const FOUND: Readonly<Record<Unqualified, string>> = {
  "along-the-path": "pg_catalog.pg_table_is_visible(c.oid)",
  "where-it-is-made": "n.nspname operator(pg_catalog.=) pg_catalog.current_schema()",
};

/**
 * Returns the statement that finds tables and views in the catalog, because `to_regclass` raises an error for a schema that
 * is closed to us. It answers the place in the list, from 1, of each that is there.
 */
export function tablesQuestion(tables: readonly ObjectName[], unqualified: Unqualified): string {
  const schemas = tables.map(({ schema }) => (schema === null ? "null" : quoteLiteral(schema)));
  const names = tables.map(({ name }) => quoteLiteral(name));
  return `
    select t.rank::pg_catalog.int4 as "rank"
    from rows from (${unnested(schemas)}, ${unnested(names)}) with ordinality as t (schema, name, rank)
    where exists (
      select from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
      where c.relname operator(pg_catalog.=) t.name::pg_catalog.name
        and c.relkind operator(pg_catalog.=) any ('{r,p,f,v,m}'::pg_catalog."char"[])
        and case when t.schema is null then ${FOUND[unqualified]} else n.nspname operator(pg_catalog.=) t.schema::pg_catalog.name end
    )`;
}

function unnested(texts: readonly string[]): string {
  return `pg_catalog.unnest(array[${texts.join(", ")}]::pg_catalog.text[])`;
}
