import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Migration, statementText } from "../../../lib/bundle/bundle.ts";
import type { Connection } from "../../../lib/connection/connection.ts";
import type { LockMode } from "../../../lib/postgres/locks.ts";
import type { Observer } from "../../../lib/rehearsal/observe.ts";
import { statementCosts } from "../../../lib/rehearsal/standstill.ts";
import type { StatementCost } from "../../../lib/report/rehearsed.ts";
import {
  type Catalog,
  claimed,
  isKnown,
  readCatalog,
  TABLE_KINDS,
} from "../../setup/lock-claims.ts";
import { LOCK_SCHEMA, LOCK_SECTIONS } from "../../setup/lock-samples.ts";
import { makeMigration } from "../../setup/make-migration.ts";
import { type Before, lookBefore, watched } from "../../setup/observing.ts";
import { createTestTarget, type TestTarget } from "../../setup/run.ts";
import { waitFor } from "../../setup/wait-for.ts";

/** The tables of the samples, as a role that may do everything finds them. */
let scene: TestTarget;
let client: Client;
let catalog: Catalog;

beforeAll(async () => {
  scene = await createTestTarget();
  const { admin, owner } = scene.database;
  await admin.sql(`alter role "${owner.name}" superuser`);
  client = new Client({ connectionString: scene.database.url });
  await client.connect();
  await client.query(LOCK_SCHEMA);
  await client.query(`
    create table heavy (a int);
    insert into heavy select i from generate_series(1, 10) i;
    create function waits(a int) returns int immutable language plpgsql as $$ begin
      perform pg_advisory_lock_shared(17); perform pg_advisory_unlock_shared(17); return a; end $$;
    create index on heavy (waits(a));
  `);
  catalog = await readCatalog(client);
});

afterAll(async () => {
  await client.end();
  await scene.database.close();
});

type Series = Parameters<Connection["sendAll"]>[0];

/** Runs work on the product's own session; each series has the observer that is new then. */
let send: (series: Series) => Promise<Observer>;
let before: Before;

beforeAll(async () => {
  before = await lookBefore(scene.database.name);
  let observer = before.observer();
  const open = signal<Connection>();
  const over = signal<void>();
  const session = {
    observe: (series: Series) => observer.observe(series),
    alone: () => Promise.reject(new Error("Nothing here is outside a transaction.")),
  };
  const ended = watched(scene.target, session, async (connection) => {
    open.give(connection);
    await over.given;
  });
  const connection = await open.given;
  send = async (series) => {
    observer = before.observer();
    // Each observer gives its questions the same names.
    await connection.query("deallocate all");
    try {
      await connection.sendAll(series, () => undefined);
    } catch (thrown) {
      await connection.query("rollback");
      throw thrown;
    }
    return observer;
  };
  return async () => {
    over.give();
    await ended;
  };
});

function signal<Value>(): {
  readonly given: Promise<Value>;
  readonly give: (value: Value) => void;
} {
  let give: (value: Value) => void = () => undefined;
  const given = new Promise<Value>((resolve) => {
    give = resolve;
  });
  return { given, give: (value) => give(value) };
}

/** Runs a statement by the real observer, and takes it back. */
async function observe(migration: Migration): Promise<readonly StatementCost[]> {
  const parts = migration.statements.map((statement, index) => ({
    ...{ kind: "statement", migration, index, mayLag: true },
    text: statementText(migration, statement),
  }));
  // Behind the series the observer finds what it takes for a COMMIT.
  const end = { kind: "commit", text: "rollback" };
  const observer = await send([{ text: "begin" }, ...parts, end]);
  return statementCosts(observer.transactions, before.relations);
}

/** The locks that were seen, by the names of the page. Of indexes and sequences only those that the page names. */
function seen(
  locks: StatementCost["locks"],
  claims: ReadonlyMap<string, LockMode>,
): ReadonlyMap<string, LockMode> {
  const kinds = new Map(Array.from(catalog.values(), ({ name, kind }) => [name, kind]));
  const all = locks.map(({ relation, mode }) => [relation.replace(/^public\./, ""), mode] as const);
  return new Map(
    all.filter(([name]) => claims.has(name) || TABLE_KINDS.includes(kinds.get(name) ?? "")),
  );
}

/** Leaves out an index whose table is locked as strongly, as the observer does. */
async function ofPage(migration: Migration): Promise<ReadonlyMap<string, LockMode>> {
  const claims = await claimed(client, catalog, migration.statements[0]?.touches ?? []);
  const { rows } = await client.query(
    "select indexrelid::regclass::text as index, indrelid::regclass::text as table from pg_index",
  );
  const tableOf = new Map(rows.map(({ index, table }) => [index, table]));
  return new Map(
    [...claims].filter(([name, mode]) => claims.get(tableOf.get(name) ?? "") !== mode),
  );
}

const sorted = (locks: ReadonlyMap<string, LockMode>): [string, LockMode][] =>
  [...locks].sort(([a], [b]) => (a < b ? -1 : 1));
const isAlone = (sql: string) =>
  makeMigration("0000_one", 1_000, sql).statements[0]?.mode === "alone";

describe.each(LOCK_SECTIONS)("$title", ({ samples }) => {
  test.each(samples.filter(isKnown).filter(([, sql]) => !isAlone(sql)))(
    "%s: the observer sees what docs/reference/locks.md says",
    async (_name, sql) => {
      const migration = makeMigration("0000_one", 1_000, sql);
      const claims = await ofPage(migration);

      const [cost] = await observe(migration);

      expect(sorted(seen(cost?.locks ?? [], claims))).toEqual(sorted(claims));
    },
  );
});

/** For each form outside a transaction: the sample to run, and what keeps it waiting while it has its locks. */
const WAITING: Readonly<Record<string, readonly [sql: string, hold: string]>> = {
  "DETACH PARTITION … CONCURRENTLY": [
    "alter table whole detach partition whole_1 concurrently",
    "lock table whole in access share mode",
  ],
  "CREATE INDEX CONCURRENTLY": [
    "create index concurrently new on t (b)",
    "lock table t in row exclusive mode",
  ],
  "DROP INDEX CONCURRENTLY": [
    "drop index concurrently t_a_idx",
    "lock table t in row exclusive mode",
  ],
  "REINDEX TABLE CONCURRENTLY": [
    "reindex table concurrently u",
    "lock table u in row exclusive mode",
  ],
  // It waits for the page that somebody reads.
  VACUUM: ["vacuum (freeze) heavy", "declare c cursor for select * from heavy; fetch 1 from c"],
  "VACUUM FULL": ["vacuum full heavy", "select pg_advisory_lock(17)"],
};

/** Runs a statement outside a transaction by the real observer, and lets it end once it was sampled while it waited. */
async function sample(sql: string, hold: string) {
  const now = await lookBefore(scene.database.name);
  const observer = now.observer();
  const holder = new Client({ connectionString: scene.database.url });
  await holder.connect();
  await holder.query(`begin; ${hold}`);
  try {
    await watched(scene.target, observer, async (connection) => {
      const place = { migration: "0000_alone", index: 0 };
      const running = observer.alone(connection, place, async () => {
        await connection.query(sql);
      });
      await waitFor(async () => (await waitingSince(connection.backendPid)) !== null);
      const { rows } = await client.query("select clock_timestamp() as now");
      await waitFor(async () => await wasAskedSince(rows[0].now));
      await holder.end();
      await running;
    });
  } finally {
    await holder.end();
  }
  return statementCosts(observer.transactions, now.relations);
}

async function waitingSince(pid: number): Promise<unknown> {
  const { rows } = await client.query(
    "select wait_event from pg_stat_activity where pid = $1 and wait_event_type in ('Lock', 'BufferPin', 'Buffer')",
    [pid],
  );
  return rows[0]?.wait_event ?? null;
}

/** Whether a sample was begun and has ended since then. */
async function wasAskedSince(since: Date): Promise<boolean> {
  const { rows } = await client.query(
    `select 1 from pg_stat_activity where datname = current_database() and query like '%pg_lock_status%'
       and query_start > $1 and state = 'idle' and pid <> pg_backend_pid()`,
    [since],
  );
  return rows.length > 0;
}

describe("outside a transaction", () => {
  const forms = LOCK_SECTIONS.flatMap(({ samples }) =>
    samples.filter(isKnown).filter(([, sql]) => isAlone(sql)),
  );

  test("every form of docs/reference/locks.md is tried", () => {
    expect(forms.map(([name]) => name).toSorted()).toEqual(Object.keys(WAITING).toSorted());
  });

  test.each(Object.entries(WAITING))(
    "%s is sampled from beside, and has no lock that the page does not name",
    async (_name, [sql, hold]) => {
      const claims = await ofPage(makeMigration("0000_one", 1_000, sql));

      const [cost] = await sample(sql, hold);

      const found = seen(cost?.locks ?? [], claims);
      expect(cost?.samples).toBeGreaterThan(0);
      // DETACH waits with no lock at all, and has those that it takes for moments that no sample may meet.
      const met = sql.includes("detach")
        ? [...found.keys()].filter((name) => !claims.has(name))
        : sorted(found);
      expect(met).toEqual(sql.includes("detach") ? [] : sorted(claims));
    },
  );
});
