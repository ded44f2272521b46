import type { Migration } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import type { Warning } from "../errors.ts";
import { type ObjectName, quoteName } from "../postgres/names.ts";

/** The facts that tell whether a build of an index came to its end. */
export interface IndexFacts {
  readonly id: number;
  readonly name: string;
  readonly schema: string;
  readonly valid: boolean;
  /** Whether a session is building it right now. Then it is not a leftover. */
  readonly building: boolean;
}

const COLUMNS = `
  c.oid::int8::text::float8 as "id", c.relname::text as "name", n.nspname::text as "schema",
  i.indisvalid and i.indisready as "valid",
  exists (select from pg_catalog.pg_stat_progress_create_index p where p.index_relid = c.oid) as "building"
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace`;

/** Returns all indexes of a table. */
export async function indexesOf(
  connection: Connection,
  table: ObjectName,
): Promise<readonly IndexFacts[]> {
  return await connection.query<IndexFacts>(
    `select ${COLUMNS} where i.indrelid = to_regclass($1)`,
    [quoteName(table)],
  );
}

/**
 * Drops the indexes that a failed CONCURRENTLY build left INVALID.
 * @returns a warning for each
 */
export async function dropInvalid(
  connection: Connection,
  indexes: readonly IndexFacts[],
  { tag }: Migration,
): Promise<readonly Warning[]> {
  const warnings: Warning[] = [];
  for (const leftover of indexes.filter(({ valid, building }) => !valid && !building)) {
    const index = quoteName(leftover);
    await connection.query(`drop index concurrently if exists ${index}`);
    warnings.push({
      code: "INVALID_INDEX_DROPPED",
      message: `The index ${index} was INVALID: an earlier build of it had failed. It was dropped and is built again by ${tag}.`,
    });
  }
  return warnings;
}

/**
 * Drops the leftovers of a REINDEX CONCURRENTLY that was interrupted: a new twin of an index that was never
 * completed, or the old index that was not dropped any more. Both have names of a fixed form (REINDEX, "Rebuilding
 * Indexes Concurrently").
 * @param of the index or the table that was rebuilt; null: everything that the role owns
 */
export async function dropBrokenTwins(
  connection: Connection,
  of: ObjectName | null,
  migration: Migration,
): Promise<readonly Warning[]> {
  const twins = await connection.query<IndexFacts>(
    `
    select ${COLUMNS}
    where c.relname ~ '_cc(new|old)[0-9]*$' and pg_has_role(c.relowner, 'usage')
      and (
        $1::text is null
        or i.indrelid = to_regclass($1)
        or i.indrelid = (select o.indrelid from pg_catalog.pg_index o where o.indexrelid = to_regclass($1))
      )
    `,
    [of === null ? null : quoteName(of)],
  );
  return await dropInvalid(connection, twins, migration);
}
