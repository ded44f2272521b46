import { beforeAll, describe, expect, test } from "vitest";
import { useNeon } from "../../setup/neon.ts";
import { firstQuery, usePools } from "../../setup/pool.ts";
import { waitFor } from "../../setup/wait-for.ts";

const scene = useNeon({
  plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
});
const open = usePools(() => scene.neon.productionUrl);

/** The rows of the table that all tests write to, on a branch. */
async function notes(branch: string): Promise<readonly unknown[]> {
  const rows = await scene.neon.branch(branch).sql("select text from notes order by text");
  return rows.map(({ text }) => text);
}

const write = (branch: string, text: string) =>
  scene.neon.branch(branch).sql("insert into notes values ($1)", [text]);

beforeAll(async () => {
  await scene.neon.branch("main").sql("create table notes (text text primary key)");
});

describe("a branch", () => {
  test("has the data of its parent, and neither sees what the other writes afterwards", async () => {
    await write("main", "before");

    const branch = await scene.makeBranch();
    await write(branch, "on the branch");
    await write("main", "on the parent");

    expect(await notes(branch)).toEqual(["before", "on the branch"]);
    expect(await notes("main")).toEqual(["before", "on the parent"]);
  });

  test("is whole, though its parent is written to all the while", async () => {
    const main = scene.neon.branch("main");
    await main.sql("create table accounts (id int primary key, money int, filler text)");
    await main.sql(
      "insert into accounts select i, 100, repeat('x', 500) from generate_series(1, 2000) i",
    );
    let transfers = 0;
    let isOver = false;
    const writing = (async () => {
      for (; !isOver; transfers += 1) {
        // Every row changes, so that pages are copied in the middle of a change.
        await main.sql(
          "update accounts set money = money + (id % 2) * 2 - 1, filler = repeat('y', 500)",
        );
      }
    })();
    await waitFor(() => transfers > 1);

    const branch = await scene.makeBranch().finally(() => {
      isOver = true;
    });
    await writing;

    const whole =
      "select count(*)::int as rows, sum(money)::int as money, count(distinct money)::int as kinds from accounts";
    expect(await scene.neon.branch(branch).sql(whole)).toEqual([
      { rows: 2_000, money: 200_000, kinds: 2 },
    ]);
    expect(
      await scene.neon
        .branch(branch)
        .sql("select count(*)::int as rows from (select id from accounts order by id) s"),
    ).toEqual([{ rows: 2_000 }]);
  });

  test("leaves out what is not committed, and locks nothing of its parent", async () => {
    const branchless = await notes("main");
    const holder = open(scene.towards(scene.neon.productionUrl));
    const client = await holder.connect();
    await client.query("begin; create table open_work (id int)");

    const branch = await scene.makeBranch();
    await client.query("commit");
    client.release();

    expect(
      await scene.neon.branch(branch).sql("select to_regclass('open_work')::text as name"),
    ).toEqual([{ name: null }]);
    expect(
      await scene.neon.branch("main").sql("select to_regclass('open_work')::text as name"),
    ).toEqual([{ name: "open_work" }]);
    expect(await notes(branch)).toEqual(branchless);
  });

  test("has the state at a place in the log, of its parent and of its parent's parent", async () => {
    const parent = await scene.makeBranch();
    const atFirst = await notes(parent);
    await write(parent, "one");
    const one = await scene.neon.branch(parent).head();
    await write(parent, "two");
    // A younger branch, whose history is another one.
    await scene.makeBranch();

    const parent_id = scene.neon.branch(parent).id;
    const child = await scene.makeBranch({ parent_id, parent_lsn: one.lsn });
    const before = scene.neon.branch(child).id;
    await write(child, "three");
    const grandchild = await scene.makeBranch({ parent_id: before, parent_lsn: one.lsn });

    expect(await notes(child)).toEqual([...atFirst, "one", "three"].sort());
    expect(await notes(grandchild)).toEqual([...atFirst, "one"].sort());
    expect(await notes(parent)).toEqual([...atFirst, "one", "two"].sort());
    const { body } = await scene.call("GET", `/branches/${before}`);
    expect(body.branch).toMatchObject({ parent_id, parent_lsn: one.lsn });
  });

  test("has the state at a time", async () => {
    const atFirst = await notes("main");
    await write("main", "in time");
    const { time } = await scene.neon.branch("main").head();
    // Times are whole milliseconds on their way, and the commit is to be later than that.
    await waitFor(async () => (await scene.neon.branch("main").head()).time > time);
    await write("main", "too late");

    const branch = await scene.makeBranch({ parent_timestamp: time.toISOString() });

    expect(await notes(branch)).toEqual([...atFirst, "in time"].sort());
  });

  test("has a host of its own at the relay, pooled and direct", async () => {
    const branch = await scene.makeBranch();
    await write(branch, "only here");
    const { id } = scene.neon.branch(branch);
    const query = "database_name=neondb&role_name=neondb_owner";
    const text = "select count(*)::int as there from notes where text = 'only here'";
    const ask = (url: string) => firstQuery(open(scene.towards(url), { url }), text);

    const direct = await scene.call("GET", `/connection_uri?branch_id=${id}&${query}`);
    const pooled = await scene.call("GET", `/connection_uri?branch_id=${id}&pooled=true&${query}`);
    const without = await scene.call("GET", `/connection_uri?${query}`);

    expect(await ask(direct.body.uri)).toEqual([{ there: 1 }]);
    expect(new URL(pooled.body.uri).hostname).toMatch(/^ep-[a-z0-9-]+-pooler\./);
    expect(await ask(pooled.body.uri)).toEqual([{ there: 1 }]);
    expect(without.body.uri).toBe(scene.neon.productionUrl);
    expect(await ask(without.body.uri)).toEqual([{ there: 0 }]);
  });

  test("of a protected parent has passwords of its own", async () => {
    const { id } = scene.neon.branch(await scene.makeBranch());
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: true } });

    const child = scene.neon.branch(await scene.makeBranch({ parent_id: id }));

    const { body } = await scene.call(
      "GET",
      `/connection_uri?branch_id=${child.id}&database_name=neondb&role_name=neondb_owner`,
    );
    const own = body.uri;
    const old = own.replace(/:[^:@]+@/, `:${new URL(scene.neon.productionUrl).password}@`);
    expect(old).not.toBe(own);
    expect(await firstQuery(open(scene.towards(own), { url: own }))).toEqual([{ one: 1 }]);
    expect(await firstQuery(open(scene.towards(old), { url: old }))).toMatchObject({
      message: "password authentication failed for user 'neondb_owner'",
    });
  });

  test("is gone with its sessions once it is deleted", async () => {
    const branch = scene.neon.branch(await scene.makeBranch());
    const { host, id, url } = branch;
    const { body } = await scene.call("DELETE", `/branches/${id}`);
    await scene.neon.idle();

    const again = await scene.call("DELETE", `/branches/${id}`);
    const lookedFor = await scene.call("GET", `/branches/${id}`);
    const login = await firstQuery(open(`${scene.relay.address}?address=${host}:5432`, { url }));

    expect(body.operations.map(({ action }: { action: string }) => action)).toEqual([
      "suspend_compute",
      "delete_timeline",
    ]);
    expect([again.status, lookedFor.status]).toEqual([204, 404]);
    expect(login).toMatchObject({
      code: "XX000",
      message: "Control plane request failed: endpoint cannot be found",
    });
  });
});

describe("the lists", () => {
  test("find branches by a part of their name, in order and in pages", async () => {
    const names = ["listed-b", "listed-a", "listed-c"];
    for (const name of names) await scene.makeBranch({ name });
    const query = "search=listed&sort_by=name&sort_order=asc&limit=2";

    const first = await scene.call("GET", `/branches?${query}`);
    const { next } = first.body.pagination;
    const second = await scene.call("GET", `/branches?${query}&cursor=${next}`);

    const named = ({ body }: typeof first) =>
      body.branches.map((each: { name: string }) => each.name);
    expect([named(first), named(second)]).toEqual([["listed-a", "listed-b"], ["listed-c"]]);
    expect(second.body.pagination.next).toBeUndefined();
  });
});
