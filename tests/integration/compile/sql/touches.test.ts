import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { loadParser } from "../../../../lib/compile/sql/parser.ts";
import { cutStatements } from "../../../../lib/compile/statements.ts";
import { type LockMode, strongerLock } from "../../../../lib/postgres/locks.ts";
import { databaseUrl } from "../../../../local/postgres/admin.ts";
import { createTestDatabase, type TestDatabase } from "../../../setup/database.ts";
import {
  type Catalog,
  claimed,
  isKnown,
  readCatalog,
  TABLE_KINDS,
} from "../../../setup/lock-claims.ts";
import { LOCK_SCHEMA, LOCK_SECTIONS } from "../../../setup/lock-samples.ts";
import { waitFor } from "../../../setup/wait-for.ts";

let database: TestDatabase;
let client: Client;
let catalog: Catalog;

beforeAll(async () => {
  database = await createTestDatabase();
  client = await connected();
  await client.query(LOCK_SCHEMA);
  catalog = await readCatalog(client);
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

/** `AccessExclusiveLock` is ACCESS EXCLUSIVE. */
function lockMode(mode: string): LockMode {
  // One of the eight modes of pg_locks: the table only holds those.
  return mode
    .replace(/Lock$/, "")
    .replace(/(?!^)([A-Z])/g, " $1")
    .toUpperCase() as LockMode;
}

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

describe.each(LOCK_SECTIONS)("$title", ({ samples }) => {
  test.each(samples.filter(isKnown))(
    "%s locks what docs/reference/locks.md says",
    async (_name, sql) => {
      const cut = cutStatements(sql);
      const [statement] = cut.ok ? cut.statements : [];
      const claims = await claimed(client, catalog, statement?.touches ?? []);

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
