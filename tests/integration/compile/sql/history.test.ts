import fc from "fast-check";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { History, tablesMadeBy } from "../../../../lib/compile/sql/history.ts";
import { parseTree } from "../../../../lib/compile/sql/parser.ts";
import { record } from "../../../../lib/compile/sql/tree.ts";
import { createTestDatabase, type TestDatabase } from "../../../setup/database.ts";
import { makeMigration } from "../../../setup/make-migration.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql(`alter schema public owner to ${database.owner.name}`);
});

afterAll(async () => {
  await database.close();
});

/** The statements of each migration. */
type Series = readonly (readonly string[])[];

/** The server after a series of migrations. */
interface Outcome {
  /** Those of its statements that the server took. */
  readonly series: Series;
  /** `schema.name` of every table and materialized view, with the migration that created it. */
  readonly relations: Readonly<Record<string, string>>;
  /** `schema.name` of every table that is no partition. */
  readonly tables: readonly string[];
  /** `schema.name` of every index `i` and `j`, with that of its table. */
  readonly indexes: Readonly<Record<string, string>>;
}

const CATALOG = `
  select c.oid::int as id, n.nspname || '.' || c.relname as name, c.relkind as kind, c.relispartition as part,
    (select tn.nspname || '.' || t.relname from pg_index x join pg_class t on t.oid = x.indrelid
      join pg_namespace tn on tn.oid = t.relnamespace where x.indexrelid = c.oid) as "of"
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 's', 't')
    and (c.relkind in ('r', 'p', 'm') or c.relkind in ('i', 'I') and c.relname in ('i', 'j'))
  order by name`;

const EMPTY = `
  drop schema if exists public, s, t cascade;
  create schema public`;

/** Runs each migration in a session of its own, statement by statement, and leaves out what is refused. */
async function onServer(series: Series): Promise<Outcome> {
  await database.sqlAsOwner(EMPTY);
  const createdIn = new Map<number, string>();
  const kept: string[][] = [];
  for (const [index, statements] of series.entries()) {
    kept.push(await taken(statements));
    for (const { id } of await database.sql(CATALOG)) {
      if (!createdIn.has(Number(id))) createdIn.set(Number(id), `000${index}`);
    }
  }
  const all = await database.sql(CATALOG);
  const relations = all.filter(({ of }) => of === null);
  return {
    series: kept,
    relations: Object.fromEntries(
      relations.map(({ id, name }) => [name, createdIn.get(Number(id)) ?? ""]),
    ),
    tables: relations
      .filter(({ kind, part }) => kind !== "m" && part === false)
      .map(({ name }) => String(name)),
    indexes: Object.fromEntries(
      all.filter(({ of }) => of !== null).map(({ name, of }) => [name, of]),
    ),
  };
}

async function taken(statements: readonly string[]): Promise<string[]> {
  const client = new Client({ connectionString: database.urlOf(database.owner) });
  await client.connect();
  await client.query("set client_min_messages = error");
  const kept: string[] = [];
  for (const statement of statements) {
    await client.query(statement).then(
      () => kept.push(statement),
      () => undefined,
    );
  }
  await client.end();
  return kept;
}

/** The same questions, answered by the replay. */
async function replayed(series: Series): Promise<Omit<Outcome, "series">> {
  const migrations = series.map((each, index) => makeMigration(`000${index}`, index, ...each));
  const history = new History();
  for (const { tag, sql, statements } of migrations) {
    history.begin(tag);
    for (const { start, end, kind } of statements) {
      history.replay(kind, record(parseTree(sql.slice(start, end))[kind]));
    }
  }
  history.begin("the end");
  const made = await tablesMadeBy(migrations);
  const names = (of: readonly string[]) =>
    SCHEMAS.flatMap((schema) => of.map((name) => ({ schema, name })));
  const display = ({ schema, name }: { schema: string | null; name: string }) =>
    `${schema ?? "public"}.${name}`;
  return {
    relations: Object.fromEntries(
      names(NAMES).flatMap((name) => {
        const tag = history.createdIn(name);
        return tag === null ? [] : [[display(name), tag]];
      }),
    ),
    tables: made.map(({ table }) => display(table)).sort(),
    indexes: Object.fromEntries(
      names(["i", "j"]).flatMap((name) => {
        const table = history.tableOfIndex(name);
        return table === null ? [] : [[display(name), display(table)]];
      }),
    ),
  };
}

const SCHEMAS = ["public", "s", "t"];
const NAMES = ["a", "b", "c"];

describe("the replay and the server agree on", () => {
  test.each<[string, ...Series]>([
    [
      "materialized views",
      ["create materialized view a as select 1 as id", "create index i on a (id)"],
      ["create table if not exists a (id int)", "alter materialized view a rename to b"],
      ["create table a (id int)", "drop materialized view b", "create table c (id int)"],
    ],
    [
      "temporary tables",
      ["create table a (id int)", "create table b (id int)"],
      ["create temp table a (id int)", "create index i on a (id)", "drop table a"],
      ["create temp table if not exists b (id int)", "alter table b rename to c"],
      ["create table c (id int)", "create temp table a (id int)"],
      ["drop table a"],
    ],
    [
      "DROP SCHEMA",
      ["create schema s", "create table s.a (id int)", "create index i on s.a (id)"],
      ["drop schema s cascade", "create table a (id int)"],
      ["create schema s", "create table if not exists s.a (id int)"],
      ["drop schema public cascade"],
    ],
    [
      "ALTER SCHEMA … RENAME",
      ["create schema s", "create table s.a (id int)", "create index i on s.a (id)"],
      ["alter schema s rename to t", "create schema s", "create table s.a (id int)"],
      ["create table b (id int)", "drop schema s cascade", "alter schema public rename to s"],
    ],
    [
      "partitions, IF NOT EXISTS and names that move",
      ["create table a (id int) partition by range (id)", "create index i on a (id)"],
      ["create table if not exists a (id int)", "create table b partition of a default"],
      ["create schema s", "alter table b set schema s", "alter table a rename to c"],
      ["create table a as select 1 as id", "create table b (id int)", "drop table c"],
    ],
  ])("%s", async (_, ...series) => {
    const { series: kept, ...outcome } = await onServer(series);

    expect(kept).toEqual(series);
    expect(await replayed(series)).toEqual(outcome);
  });

  test("any series of such statements that the server takes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(statement, { maxLength: 8 }), { maxLength: 4 }),
        async (series) => {
          const { series: kept, ...outcome } = await onServer(series);

          expect(await replayed(kept)).toEqual(outcome);
        },
      ),
      { numRuns: 25 },
    );
  });
});

const schema = fc.constantFrom(...SCHEMAS);
const plain = fc.constantFrom(...NAMES);
const table = fc
  .tuple(fc.constantFrom("", "", "public.", "s.", "t."), plain)
  .map(([at, name]) => `${at}${name}`);
const index = fc.constantFrom("i", "j");
const ifNew = fc.constantFrom("", "if not exists ");

const statement = fc.oneof(
  fc.tuple(ifNew, table).map(([cond, name]) => `create table ${cond}${name} (id int)`),
  fc.tuple(ifNew, table).map(([cond, name]) => `create table ${cond}${name} as select 1 as id`),
  fc.tuple(ifNew, plain).map(([cond, name]) => `create temp table ${cond}${name} (id int)`),
  fc
    .tuple(ifNew, table)
    .map(([cond, name]) => `create materialized view ${cond}${name} as select 1 as id`),
  table.map((name) => `create table ${name} (id int) partition by range (id)`),
  fc.tuple(table, table).map(([name, of]) => `create table ${name} partition of ${of} default`),
  fc.tuple(ifNew, schema).map(([cond, name]) => `create schema ${cond}${name}`),
  schema.map((name) => `drop schema ${name} cascade`),
  fc.tuple(schema, schema).map(([from, to]) => `alter schema ${from} rename to ${to}`),
  table.map((name) => `drop table ${name}`),
  table.map((name) => `drop materialized view ${name}`),
  fc.tuple(table, plain).map(([name, to]) => `alter table ${name} rename to ${to}`),
  fc.tuple(table, plain).map(([name, to]) => `alter materialized view ${name} rename to ${to}`),
  fc.tuple(table, schema).map(([name, to]) => `alter table ${name} set schema ${to}`),
  fc.tuple(index, table).map(([name, of]) => `create index ${name} on ${of} (id)`),
  fc.tuple(fc.constantFrom("", "s.", "t."), index).map(([at, name]) => `drop index ${at}${name}`),
);
