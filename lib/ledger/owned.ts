/*
 * Owned: whose a table beside the ledger is. Nothing of a table is read that is not believed: a view, or the row-level
 * security of a stranger's table, would run the stranger's code with our rights. These roles are believed: our own, those
 * that it is a member of and those that are members of it, the owner of the database, and superusers. A superuser counts
 * as a member of every role, so for one of them only its own tables, and those of such owners, count.
 */

/** Returns the expression that tells whether a row of `pg_class` is a table of a role of ours. */
export function isOurs(row: string): string {
  return `(${isPlain(row)} and (pg_catalog.pg_get_userbyid(${row}.relowner) operator(pg_catalog.=) current_user
    or pg_catalog.current_setting('is_superuser') operator(pg_catalog.=) 'off' and pg_catalog.pg_has_role(${row}.relowner, 'MEMBER')))`;
}

/** Returns the expression that tells whether it is a table that is believed: ours, or that of another such role. */
export function isBelieved(row: string): string {
  return `(${isOurs(row)} or ${isPlain(row)} and (pg_catalog.pg_has_role(${row}.relowner, current_user, 'MEMBER')
    or ${row}.relowner operator(pg_catalog.=) (
      select d.datdba from pg_catalog.pg_database d where d.datname operator(pg_catalog.=) pg_catalog.current_database()
    )))`;
}

function isPlain(row: string): string {
  return `${row}.relkind operator(pg_catalog.=) any ('{r,p}'::pg_catalog."char"[])`;
}
