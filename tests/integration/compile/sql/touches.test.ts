import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Touched } from "../../../../lib/bundle/bundle.ts";
import { loadParser } from "../../../../lib/compile/sql/parser.ts";
import { cutStatements } from "../../../../lib/compile/statements.ts";
import { type LockMode, strongerLock } from "../../../../lib/postgres/locks.ts";
import { databaseUrl } from "../../../../local/postgres/admin.ts";
import { createTestDatabase, type TestDatabase } from "../../../setup/database.ts";
import { LOCK_SCHEMA, LOCK_SECTIONS } from "../../../setup/lock-samples.ts";
import { waitFor } from "../../../setup/wait-for.ts";

/** Object ids of relations, by name. */
type Catalog = ReadonlyMap<number, { readonly name: string; readonly kind: string }>;

let database: TestDatabase;
let client: Client;
let catalog: Catalog;

beforeAll(async () => {
  database = await createTestDatabase();
  client = await connected();
  await client.query(LOCK_SCHEMA);
  const { rows } = await client.query(
    `select c.oid::int as id, c.oid::regclass::text as name, relkind as kind
     from pg_class c join pg_namespace n on n.oid = relnamespace where nspname in ('public', 'apart')`,
  );
  catalog = new Map(rows.map(({ id, name, kind }) => [id, { name, kind }]));
  await loadParser();
});

afterAll(async () => {
  await client.end();
  await database.close();
});

async function connected(): Promise<Client> {
  const url = databaseUrl(inject("postgresUrl"), database.name);
  const made = new Client({ connectionString: url });
  made.on("error", () => undefined);
  await made.connect();
  return made;
}

/** What a kind that names no relation itself leads to: a query with the name as `$1`. */
const LINKS: Readonly<Record<string, string>> = {
  "table-of-index": "select indrelid from pg_index where indexrelid = $1::regclass",
  "tables-of-constraint":
    "select unnest(array[conrelid, confrelid]) from pg_constraint where conname = $1",
  "tables-linked-by-foreign-key": `
    select unnest(array[conrelid, confrelid]) from pg_constraint
    where contype = 'f' and $1::regclass in (conrelid, confrelid)`,
  "tables-referencing": "select conrelid from pg_constraint where confrelid = $1::regclass",
  "parents-of-table": `
    select inhparent from pg_inherits where inhrelid = $1::regclass
    union select partdefid from pg_partitioned_table p join pg_inherits on inhparent = partrelid
    where inhrelid = $1::regclass`,
  "default-partition": "select partdefid from pg_partitioned_table where partrelid = $1::regclass",
  "tables-of-schema": "select oid from pg_class where relnamespace = $1::regnamespace",
  "table-of-statistics": "select stxrelid from pg_statistic_ext where stxname = $1",
  "tables-read-by-view": `
    select d.refobjid from pg_depend d join pg_rewrite r on r.oid = d.objid
    where r.ev_class = $1::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'`,
  "views-reading": `
    select r.ev_class from pg_depend d join pg_rewrite r on r.oid = d.objid
    where d.refobjid = $1::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'`,
  "tables-with-type": "select attrelid from pg_attribute where atttypid = $1::regtype",
};

/** The relations that a statement is said to lock, by name, each with its strongest lock. */
async function claimed(touches: readonly Touched[]): Promise<Map<string, LockMode>> {
  const found = new Map<string, LockMode>();
  for (const touched of touches) {
    const { lock } = touched;
    if (lock === undefined) continue;
    for (const relation of await relationsOf(touched)) {
      found.set(relation, strongerLock(found.get(relation) ?? null, lock) ?? lock);
    }
  }
  return found;
}

async function relationsOf({ kind, schema, name }: Touched): Promise<readonly string[]> {
  const full = schema === null ? name : `${schema}.${name}`;
  const link = LINKS[kind];
  if (link === undefined) return [full];
  const { rows } = await client.query({ text: link, values: [full], rowMode: "array" });
  return rows.flatMap(([id]) => catalog.get(id)?.name ?? []);
}

/** `AccessExclusiveLock` is ACCESS EXCLUSIVE. */
function lockMode(mode: string): LockMode {
  // One of the eight modes of pg_locks: the table only holds those.
  return mode
    .replace(/Lock$/, "")
    .replace(/(?!^)([A-Z])/g, " $1")
    .toUpperCase() as LockMode;
}

const TABLE_KINDS = ["r", "p", "v", "m", "f"];

/** The relations of before that this session locks now. Of indexes and sequences only those that were claimed. */
async function held(claims: ReadonlyMap<string, LockMode>): Promise<Map<string, LockMode>> {
  const { rows } = await client.query(
    "select relation::int as id, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation' and granted",
  );
  const found = new Map<string, LockMode>();
  for (const { id, mode } of rows) {
    const relation = catalog.get(id);
    if (relation === undefined) continue;
    if (!TABLE_KINDS.includes(relation.kind) && !claims.has(relation.name)) continue;
    const lock = strongerLock(found.get(relation.name) ?? null, lockMode(mode));
    if (lock !== null) found.set(relation.name, lock);
  }
  return found;
}

/** What a statement that stands alone waits for on a table, while somebody else has a lock against that. */
async function wanted(sql: string, relation: string, against: LockMode): Promise<LockMode> {
  const holder = await connected();
  const asking = await connected();
  try {
    await holder.query(`begin; lock table ${relation} in ${against} mode`);
    const { rows: own } = await asking.query("select pg_backend_pid() as pid");
    const running = asking.query(sql).catch(() => undefined);
    let mode = "";
    await waitFor(async () => {
      const { rows } = await client.query(
        "select mode from pg_locks where pid = $1 and relation = $2::regclass and not granted",
        [own[0].pid, relation],
      );
      mode = rows[0]?.mode ?? "";
      return mode !== "";
    });
    await client.query("select pg_cancel_backend($1)", [own[0].pid]);
    await running;
    return lockMode(mode);
  } finally {
    await holder.end();
    await asking.end();
  }
}

function kindOf(relation: string): string {
  return [...catalog.values()].find(({ name }) => name === relation)?.kind ?? "";
}

const sorted = (locks: ReadonlyMap<string, LockMode>): unknown =>
  [...locks].sort(([one], [other]) => (one < other ? -1 : 1));

async function expectWaits(sql: string, claims: ReadonlyMap<string, LockMode>): Promise<void> {
  for (const [relation, lock] of claims) {
    if (!TABLE_KINDS.includes(kindOf(relation))) continue;
    const against = lock === "ACCESS EXCLUSIVE" ? "ACCESS SHARE" : lock;
    expect([relation, await wanted(sql, relation, against)]).toEqual([relation, lock]);
  }
}

async function expectHeld(sql: string, claims: ReadonlyMap<string, LockMode>): Promise<void> {
  await client.query("begin");
  try {
    await client.query(sql);
    expect(sorted(await held(claims))).toEqual(sorted(claims));
  } finally {
    await client.query("rollback");
  }
}

/** The PostgreSQL that knows a statement, or takes the lock on it, first. */
const SINCE: Readonly<Record<string, number>> = {
  "SET EXPRESSION": 17,
  "ADD NOT NULL … NOT VALID": 18,
  "SET ACCESS METHOD": 15,
  "ALTER VIEW … SET": 15,
  "GRANT, REVOKE": 18,
  MERGE: 15,
};

const known = ([name]: readonly [string, string]): boolean =>
  (SINCE[name] ?? 0) <= inject("postgresMajor");

describe.each(LOCK_SECTIONS)("$title", ({ samples }) => {
  test.each(samples.filter(known))(
    "%s locks what docs/reference/locks.md says",
    async (_name, sql) => {
      const cut = cutStatements(sql);
      const [statement] = cut.ok ? cut.statements : [];
      const claims = await claimed(statement?.touches ?? []);

      await (statement?.mode === "alone" ? expectWaits(sql, claims) : expectHeld(sql, claims));
    },
  );
});

test("without ONLY the same lock is taken on what inherits, with it not", async () => {
  const all = new Map<string, LockMode>([
    ["child", "ACCESS EXCLUSIVE"],
    ["parent", "ACCESS EXCLUSIVE"],
  ]);
  const one = new Map<string, LockMode>([["parent", "ACCESS EXCLUSIVE"]]);

  await expectHeld("alter table parent add column b int", all);
  await expectHeld("alter table only parent alter column a set default 1", one);
});
