import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { preferMemory } from "../../../local/postgres/memory.ts";
import { isTrial } from "../../setup/tries.ts";
import { type Facts, readCatalog, readContents } from "../../trials/fidelity/catalog.ts";
import { compareFacts } from "../../trials/fidelity/compare.ts";
import { renderDetails } from "../../trials/fidelity/render.ts";
import { openServer, type Server } from "../../trials/fidelity/server.ts";
import { openSession, type Session } from "../../trials/fidelity/session.ts";
import { tryFolder } from "../../trials/fidelity/trial.ts";

const FIXTURES = "tests/fixtures/fidelity";

/** Between them they have most of the traps. */
const MOST = ["everyday", "online"];

let server: Server;

beforeAll(async () => {
  preferMemory();
  server = await openServer();
  return () => server.close();
});

describe("a folder with the traps of real ones", () => {
  test.each(isTrial() ? readdirSync(FIXTURES) : MOST)(
    "%s leaves what Drizzle leaves, alone and half and half",
    async (name) => {
      const result = await tryFolder(server, `${FIXTURES}/${name}`);

      expect(renderDetails(result)).toEqual([]);
      expect(result).toMatchObject({ outcome: "applied", ours: { status: "applied" } });
      expect(result.ways).toHaveLength(3);
    },
  );
});

/** What two databases may differ in, each with the fact that has to show it. */
const CHANGES: Readonly<Record<string, string>> = {
  "alter table t alter column a set default 2": "column public.t.a",
  "alter table t alter column b set not null": "column public.t.b",
  "alter table t alter column b type varchar(9)": "column public.t.b",
  "alter table t add constraint c check (a > 0) not valid": "constraint public.t.c",
  "create index i on t (a) where a > 1": "index public.i",
  "alter table t set (fillfactor = 50)": "relation public.t",
  "alter table t enable row level security": "relation public.t",
  "create policy p on t for select using (a = 1)": "policy public.t.p",
  "grant select on t to public": "relation public.t",
  "grant update (a) on t to public": "column public.t.a",
  "alter type e add value 'z' before 'y'": "type public.e",
  "alter sequence t_a_seq increment by 7": "sequence public.t_a_seq",
  "comment on column t.a is 'noted'": "comment table column public.t.a",
  "create or replace function f() returns int language sql as 'select 2'": "function public.f()",
  "alter table t disable trigger g": "trigger public.t.g",
  "create or replace view v as select a + 1 as a from t": "view public.v",
  "alter domain d add check (value < 9)": "constraint public.d.d_check",
  "create extension citext": "extension citext",
  "create publication u for table t": "publication u",
  "create statistics s on a, b from t": "statistics public.s",
  "alter default privileges grant select on tables to public": "default privilege postgres - r",
  "insert into t values (5, 'five')": "rows of public.t",
  "update t set b = 'other'": "contents of public.t.b",
  "select nextval('t_a_seq')": "sequence value public.t_a_seq",
};

describe("the comparison", () => {
  let session: Session;
  let before: Facts;

  async function facts(): Promise<Facts> {
    return new Map([...(await readCatalog(session)), ...(await readContents(session))]);
  }

  beforeAll(async () => {
    await server.fresh();
    session = await openSession(server.url);
    await session.sql(`
      create table t (a serial, b text);
      insert into t (b) values ('one');
      create type e as enum ('x', 'y');
      create domain d as int;
      create function f() returns int language sql as 'select 1';
      create function h() returns trigger language plpgsql as 'begin return new; end';
      create trigger g before insert on t for each row execute function h();
      create view v as select a from t;
    `);
    before = await facts();
    return () => session.close();
  });

  test("finds a database equal to itself", async () => {
    expect(compareFacts(before, await facts())).toEqual([]);
  });

  test.each(Object.entries(CHANGES))("sees %s", async (change, fact) => {
    await session.sql("begin");
    await session.sql(change);
    const differences = compareFacts(before, await facts());
    await session.sql("rollback");

    expect(differences.map((each) => each.fact)).toContain(fact);
  });
});
