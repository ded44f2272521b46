import type { Watch } from "./watch.ts";

/** A database by its facts: each has a name, and a number or a definition. */
export type State = ReadonlyMap<string, string | number>;

/** How one state departs from another, in sentences. */
export interface Difference {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
}

/** By name: object ids and the order of creation are of no interest, nor what Drizzle, when it is first, does not make. */
const SCHEMA = `
  with spaces as (select oid, nspname from pg_namespace where nspname in ('public', 'drizzle')),
  relations as (
    select c.oid, c.relkind, s.nspname || '.' || c.relname as name
    from pg_class c join spaces s on s.oid = c.relnamespace
    where c.relname !~ '__drizzle_migrations_(checkpoints|history)'
      and not exists (select from pg_index i where i.indexrelid = c.oid and not (i.indisvalid and i.indisready))
  )
  select 'relation ' || name as name, relkind::text as value from relations
  union all
  select 'column ' || r.name || '.' || a.attname,
    concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
  from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
  where r.relkind = 'r'
  union all
  select 'constraint ' || r.name || '.' || c.conname, c.convalidated || ' ' || pg_get_constraintdef(c.oid)
  from relations r join pg_constraint c on c.conrelid = r.oid
  union all
  select 'index ' || r.name, pg_get_indexdef(r.oid) from relations r where r.relkind = 'i'
  union all
  select 'type ' || s.nspname || '.' || t.typname, t.typtype::text
  from pg_type t join spaces s on s.oid = t.typnamespace where t.typtype in ('e', 'd')
  union all
  select 'enum value ' || t.typname || '.' || e.enumlabel,
    row_number() over (partition by t.oid order by e.enumsortorder)::text
  from pg_enum e join pg_type t on t.oid = e.enumtypid
`;

/** What each table holds, in numbers that a second run would change. */
const DATA: Readonly<Record<string, string>> = {
  entries: "select 'entry ' || note as name, count(*)::int as value from entries group by note",
  accounts: "select 'balance ' || id as name, balance as value from accounts",
  events: `
    select 'events' as name, count(*)::int as value from events
    union all select 'amounts of events', sum(amount)::int from events
  `,
  "drizzle.__drizzle_migrations": `
    select 'ledger row ' || created_at || ' ' || hash as name, count(*)::int as value
    from drizzle.__drizzle_migrations group by created_at, hash
  `,
};

/** Texts that a second run would not change, but a lost one would. */
const TEXTS = `
  select 'account ' || id as name, to_jsonb(accounts) - 'balance' as value from accounts
`;

/** What must not be there when every migration is applied. */
const LEFTOVERS = `
  select 'INVALID index ' || c.relname as name
  from pg_index i join pg_class c on c.oid = i.indexrelid
  where not (i.indisvalid and i.indisready and i.indislive)
`;
const CHECKPOINTS = "drizzle.__drizzle_migrations_checkpoints";

/** Reads a database by its facts. */
export async function readState(watch: Watch): Promise<State> {
  const there = await tablesOf(watch);
  const queries = Object.entries(DATA).flatMap(([table, query]) =>
    there.has(table) ? [query] : [],
  );
  const state = new Map<string, string | number>();
  for (const query of [SCHEMA, TEXTS, ...queries]) {
    for (const { name, value } of await watch.sql(query)) {
      const fact = typeof value === "number" ? value : JSON.stringify(value);
      state.set(unnumbered(String(name)), typeof fact === "string" ? unnumbered(fact) : fact);
    }
  }
  return state;
}

/** PostgreSQL gives the ledger's sequence a number where somebody else was making the ledger at that moment. */
function unnumbered(text: string): string {
  return text.replace(/(__drizzle_migrations_id_seq)\d+/, "$1");
}

async function tablesOf(watch: Watch): Promise<ReadonlySet<string>> {
  const names = [...Object.keys(DATA), CHECKPOINTS];
  const rows = await watch.sql(
    "select name from unnest($1::text[]) name where to_regclass(name) is not null",
    [names],
  );
  return new Set(rows.map(({ name }) => String(name)));
}

/** What is in a database that only an unfinished run may have there. */
export async function readLeftovers(watch: Watch): Promise<readonly string[]> {
  const there = await tablesOf(watch);
  const checkpoints = `
    select 'checkpoint of ' || tag || ', ' || done || ' done, running ' || coalesce(running::text, 'none') as name
    from ${CHECKPOINTS}
  `;
  const text = there.has(CHECKPOINTS) ? `${LEFTOVERS} union all ${checkpoints}` : LEFTOVERS;
  return (await watch.sql(text)).map(({ name }) => String(name));
}

/** How `actual` departs from `expected`: what is missing or less is lost, what is more is doubled. */
export function compareStates(expected: State, actual: State): Difference {
  const lost: string[] = [];
  const doubled: string[] = [];
  for (const name of new Set([...expected.keys(), ...actual.keys()])) {
    const [should, is] = [expected.get(name), actual.get(name)];
    if (should === is) continue;
    const more = should === undefined || (isMore(should, is) && is !== undefined);
    const sentence = `${name} is ${is ?? "missing"} instead of ${should ?? "missing"}`;
    (more ? doubled : lost).push(sentence);
  }
  return { lost, doubled };
}

function isMore(should: string | number, is: string | number | undefined): boolean {
  return typeof should === "number" && typeof is === "number" && is > should;
}
