/**
 * Returns SQL for a superuser that begins a transaction and takes a function of PostgreSQL out of the way, in one
 * database. Its namesake in `pg_catalog` can then be created. A namesake anywhere else is never called by us.
 */
export function replacing(name: string): string {
  return `
    begin;
    set local allow_system_table_mods = on;
    update pg_catalog.pg_proc set proname = proname || '_was'
      where proname = '${name}' and pronamespace = 'pg_catalog'::regnamespace;`;
}
