import { beforeAll, describe, expect, test } from "vitest";
import { expectFinished, useNeon } from "../../setup/neon.ts";
import { checkOut, firstQuery, usePools } from "../../setup/pool.ts";

const scene = useNeon({ branch: "production" });
const open = usePools(() => scene.neon.productionUrl);

const COUNT = "select count(*)::int as rows from orders";
const through = () => firstQuery(open(scene.towards(scene.neon.productionUrl)), COUNT);

beforeAll(async () => {
  await scene.neon.branch("production").sql("create table orders (id int primary key)");
});

/** Empties production, and returns the place before that. */
async function emptyAfter(rows: number): Promise<string> {
  const production = scene.neon.branch("production");
  await production.sql("truncate orders");
  await production.sql("insert into orders select generate_series(1, $1::int)", [rows]);
  const { lsn } = await production.head();
  await production.sql("truncate orders");
  return lsn;
}

/** Restores production, and waits until that has ended, well or not. */
async function restore(body: object) {
  const { id } = scene.neon.branch("production");
  const answer = await scene.call("POST", `/branches/${id}/restore`, {
    source_branch_id: id,
    ...body,
  });
  await scene.neon.idle();
  return answer;
}

describe("a restore in place", () => {
  test("gives production an earlier state, cuts its sessions and keeps its address", async () => {
    const source_lsn = await emptyAfter(5);
    const { id, host, port } = scene.neon.branch("production");
    const session = await checkOut(open(scene.towards(scene.neon.productionUrl)));
    await session.query("select 1");

    const { body } = await restore({ source_lsn, preserve_under_name: "before-restore" });
    await expectFinished(scene, body.operations);

    expect(body.branch).toMatchObject({ id, current_state: "resetting" });
    await expect(session.query("select 1")).rejects.toThrow();
    expect(await through()).toEqual([{ rows: 5 }]);
    expect(scene.neon.branch("production")).toMatchObject({ id, host, port });
    const after = await scene.call("GET", `/branches/${id}`);
    expect(after.body.branch).toMatchObject({
      parent_id: scene.neon.branch("before-restore").id,
      parent_lsn: source_lsn,
      default: true,
    });
  });

  test("preserves the state that was replaced, and it can be restored in turn", async () => {
    const source_lsn = await emptyAfter(7);
    await scene.neon.branch("production").sql("insert into orders values (100)");

    await restore({ source_lsn, preserve_under_name: "kept" });
    const kept = scene.neon.branch("kept");
    const restored = await through();
    const back = await restore({ source_branch_id: kept.id });
    await expectFinished(scene, back.body.operations);

    expect(await kept.sql(COUNT)).toEqual([{ rows: 1 }]);
    expect(restored).toEqual([{ rows: 7 }]);
    expect(await through()).toEqual([{ rows: 1 }]);
  });

  test.each(["create_branch", "start_compute"])(
    "that fails in %s says so, and production is as it was",
    async (action) => {
      const source_lsn = await emptyAfter(9);
      await scene.neon.branch("production").sql("insert into orders values (100), (101)");
      const { port } = scene.neon.branch("production");
      const names = scene.neon.branchNames();
      scene.neon.failOperation(action, "no room on the disk");

      const { body } = await restore({ source_lsn, preserve_under_name: `lost-${action}` });

      const { operations } = (await scene.call("GET", "/operations?limit=2")).body;
      expect(body.operations).toHaveLength(2);
      expect(operations).toContainEqual(
        expect.objectContaining({ action, status: "failed", error: "no room on the disk" }),
      );
      expect(await through()).toEqual([{ rows: 2 }]);
      expect(scene.neon.branch("production").port).toBe(port);
      expect(scene.neon.branchNames()).toEqual(names);
    },
  );

  test.each([
    ["without a point of its own history", {}, 400],
    ["without a name for the present state", { source_lsn: "0/FFFFFFF" }, 400],
    ["at a place that is not written yet", { source_lsn: "F/0", preserve_under_name: "x" }, 400],
    ["at a place before the history", { source_lsn: "0/1", preserve_under_name: "x" }, 400],
    [
      "at a time before the history",
      { source_timestamp: "2020-01-01T00:00:00Z", preserve_under_name: "x" },
      400,
    ],
    ["from a branch that is not there", { source_branch_id: "br-none" }, 404],
  ])("is refused %s", async (_what, body, status) => {
    const names = scene.neon.branchNames();

    const answer = await restore(body);

    expect(answer.status).toBe(status);
    expect(scene.neon.branchNames()).toEqual(names);
  });

  test("is refused on a protected branch", async () => {
    const { id } = scene.neon.branch("production");
    const { lsn } = await scene.neon.branch("production").head();
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: true } });

    const answer = await restore({ source_lsn: lsn, preserve_under_name: "x" });
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: false } });

    expect(answer).toMatchObject({
      status: 422,
      body: { message: expect.stringMatching(/protected/) },
    });
  });

  test("is refused for what the history has forgotten", async () => {
    const source_lsn = await emptyAfter(3);
    await scene.neon.forgetHistory();

    const answer = await restore({ source_lsn, preserve_under_name: "x" });

    expect(answer.status).toBe(400);
    expect(answer.body.message).toMatch(/history/);
  });
});
