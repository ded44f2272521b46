import type { TestDatabase } from "./database.ts";

/** The names of what a database holds, and the rows of its tables, each as a text. */
export type Everything = Readonly<Record<string, readonly string[]>>;

const NAMES = `
  select 'schema' as kind, nspname::text as name from pg_namespace
  where nspname !~ '^pg_' and nspname <> 'information_schema'
  union all
  select 'relation ' || c.relkind::text, n.nspname || '.' || c.relname from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all
  select 'function', p.oid::regprocedure::text from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  order by 1, 2`;

/**
 * Reads everything that a rolled back transaction leaves as it was. A test compares it before and after. The history tells of a
 * run that failed, behind its end: that row is left out.
 */
export async function everythingIn(database: TestDatabase): Promise<Everything> {
  const names = await database.sql(NAMES);
  const tables = names.flatMap(({ kind, name }) => (kind === "relation r" ? [String(name)] : []));
  const rows: [string, readonly string[]][] = [];
  for (const table of tables) {
    const name = table
      .split(".")
      .map((part) => `"${part}"`)
      .join(".");
    const those = table.endsWith("_migrations_history") ? "where t.kind <> 'failed'" : "";
    const found = await database.sql(`select t::text as row from ${name} t ${those} order by 1`);
    rows.push([table, found.map(({ row }) => String(row))]);
  }
  return {
    names: names.map(({ kind, name }) => `${kind} ${name}`),
    ...Object.fromEntries(rows),
  };
}
