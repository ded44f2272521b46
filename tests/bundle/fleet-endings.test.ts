import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AuthoredMigration } from "../setup/deployment.ts";
import { FLEET } from "../setup/fleet-machine.ts";
import { type Between, useFleet } from "../setup/fleet-scene.ts";
import { waitFor } from "../setup/wait-for.ts";

const ORDERS: AuthoredMigration = {
  tag: "0000_orders",
  when: 1_000,
  statements: ["create table orders (id int primary key)"],
};
const MORE: AuthoredMigration = {
  tag: "0001_more",
  when: 2_000,
  statements: ["alter table orders add note text", "insert into orders values (1)"],
};

const scene = useFleet("one", "two", "three");
const ALL = ["one", "two", "three"];

const inline = (...ids: readonly string[]) => ({ targets: { inline: scene.targetsOf(...ids) } });

/** How many rows a tenant's ledger has. */
async function appliedIn(id: string): Promise<number> {
  const { sql } = scene.database(id);
  const [found] = await sql(
    "select to_regclass('drizzle.__drizzle_migrations') is not null as there",
  );
  if (found?.there !== true) return 0;
  return (await sql("select from drizzle.__drizzle_migrations")).length;
}

const appliedInAll = () => Promise.all(ALL.map(appliedIn));

beforeEach(async () => {
  await scene.deployment.deploy(ORDERS);
});

afterEach(async () => {
  for (const id of ALL) {
    const clean = "drop schema if exists drizzle cascade; drop table if exists orders";
    await scene.database(id).sql(clean);
  }
  scene.s3.store.put("fleet", "ledger.jsonl", "");
});

/** Does something before the call for a tenant. */
const before =
  (tenant: string, act: () => unknown): Between =>
  async (id, call) => {
    if (id === tenant) await act();
    return await call();
  };

describe("a list that changes while the run is under way", () => {
  const list = (...ids: readonly string[]) =>
    scene.s3.store.put(
      ...(["fleet", "all.jsonl"] as const),
      scene
        .targetsOf(...ids)
        .map((each) => `${JSON.stringify(each)}\n`)
        .join(""),
    );

  test("counts in the next run: this one has its own copy, and who left leaves the ledger then", async () => {
    list("one", "two");
    const input = {
      ...{ targets: { s3: { bucket: "fleet", key: "all.jsonl" } }, sample: 0 },
      waves: [{ count: 1 }, { percent: 100 }],
    };

    const first = await scene.run(
      input,
      before("one", () => list("one", "three")),
    );
    const [applied, ledger] = [await appliedInAll(), scene.text("ledger.jsonl")];
    const second = await scene.run(input);

    expect(first).toMatchObject({ status: "applied", counts: { total: 2, applied: 2 } });
    expect(applied).toEqual([1, 1, 0]);
    expect(ledger).toContain('{"id":"two","hash":"');
    expect(second).toMatchObject({ counts: { total: 2, skipped: 1, applied: 1 } });
    expect(await appliedInAll()).toEqual([1, 1, 1]);
    expect(scene.text("ledger.jsonl")).toContain('{"id":"two","hash":null,');
  });
});

describe("a call of which nobody hears the end", () => {
  /** The machine, with a time-out for a tenant that passes within a test. */
  const impatient = () => {
    const machine = structuredClone(FLEET) as {
      States: { Wave: { ItemProcessor: { States: { Migrate: { TimeoutSeconds: number } } } } };
    };
    machine.States.Wave.ItemProcessor.States.Migrate.TimeoutSeconds = 1;
    return machine;
  };

  test("because the task's time was over, is unknown; the next run finds it up to date, and counts it once", async () => {
    let commit: Promise<unknown> = Promise.resolve();

    const first = await scene.run(
      inline("one"),
      async (id, call) => {
        const calling = call();
        if (id === "") return await calling;
        commit = calling;
        return await new Promise(() => undefined);
      },
      impatient(),
    );
    await commit;
    const second = await scene.run(inline("one", "two"));

    expect(first).toMatchObject({
      ...{ status: "failed", counts: { applied: 0, failed: 0, unknown: 1 } },
      failures: [{ code: "States.Timeout", firstIds: ["one"] }],
    });
    expect(second).toMatchObject({
      ...{ status: "applied", counts: { upToDate: 1, applied: 1, unknown: 0 } },
      behind: { count: 0 },
    });
    expect(await appliedInAll()).toEqual([1, 1, 0]);
  });

  test("because somebody stopped the run, goes on; it is unknown and never failed, and the resume settles it", async () => {
    const input = { ...inline(...ALL), waves: [{ tenants: ["one"] }, { percent: 100 }] };
    let mayGoOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      mayGoOn = resolve;
    });
    let isUnderWay = false;
    const { execution, machine } = await scene.start(
      input,
      before("one", async () => {
        isUnderWay = true;
        await held;
      }),
    );
    await waitFor(() => isUnderWay);
    machine.stop(execution);
    await execution.ended;
    const early = await scene.reportOn(execution.name);
    mayGoOn();
    await waitFor(async () => (await appliedIn("one")) === 1);
    await machine.idle();

    const stopped = await scene.reportOn(execution.name);
    const resumed = await scene.run(input);

    for (const report of [early, stopped]) {
      expect(report).toMatchObject({ status: "stopped", counts: { failed: 0, applied: 0 } });
      expect(report.counts.unknown).toBeGreaterThan(0);
    }
    expect(stopped.counts).toMatchObject({ unknown: 1, pending: 2 });
    expect(await appliedInAll()).toEqual([1, 1, 1]);
    expect(resumed).toMatchObject({ status: "applied", counts: { upToDate: 1, applied: 2 } });
  });
});

describe("two ids for one database", () => {
  test("that nobody can tell from their references are migrated once: the lock holds", async () => {
    scene.secrets.set("/tenants/alias", scene.database("one").url);
    await scene.deployment.deploy(ORDERS, MORE);

    const report = await scene.run(inline("one", "alias"));

    expect(report.counts).toMatchObject({ total: 2, applied: 1, upToDate: 1 });
    expect(await scene.database("one").sql("select from orders")).toHaveLength(1);
  });
});

describe("older code behind a rollback", () => {
  test("skips nobody by the newer ledger, and each tenant that is ahead is counted", async () => {
    await scene.deployment.deploy(ORDERS, MORE);
    await scene.run(inline("one", "two"));
    await scene.deployment.deploy(ORDERS);

    const report = await scene.run({ ...inline(...ALL), sample: 0 });

    expect(report).toMatchObject({
      ...{ status: "applied", counts: { skipped: 0, upToDate: 2, applied: 1 } },
      ...{ ahead: 2, behind: { count: 0 }, versions: { "0000_orders": 3 } },
    });
    const lines = scene
      .text(report.files.tenants)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ id, ahead }) => [id, ahead])).toEqual(
      expect.arrayContaining([
        ["one", 1],
        ["two", 1],
        ["three", undefined],
      ]),
    );
    expect(await appliedInAll()).toEqual([2, 2, 1]);
  });

  test("that refuses databases that are ahead has them as failures of one cause", async () => {
    await scene.deployment.deploy(ORDERS, MORE);
    await scene.run(inline("one", "two"));
    await scene.deployment.deploy(ORDERS);
    const input = { ...inline(...ALL), request: { ahead: "error" }, tolerated: { count: 2 } };

    expect(await scene.run(input)).toMatchObject({
      ...{ status: "partial", counts: { failed: 2, applied: 1 } },
      ...{ ahead: 2, failures: [{ code: "AHEAD", count: 2, firstIds: ["one", "two"] }] },
    });
  });
});

describe("a deployment in the middle of a run", () => {
  test("that replaces the code of the version is refused for all the rest, and nothing is applied there", async () => {
    const input = {
      ...inline("one", "two"),
      ...{ waves: [{ tenants: ["one"] }, { percent: 100 }] },
    };
    const deployed = before("two", () => scene.deployment.deploy(ORDERS, MORE));

    const report = await scene.run(input, deployed);

    expect(report).toMatchObject({
      ...{ status: "stopped", counts: { applied: 1, failed: 1 } },
      failures: [{ code: "BUNDLE_MISMATCH", firstIds: ["two"] }],
    });
    expect(await appliedInAll()).toEqual([1, 0, 0]);
  });
});

describe("two runs of a fleet at the same time", () => {
  test("migrate each tenant once, and both are through", async () => {
    await scene.deployment.deploy(ORDERS, MORE);
    const input = { ...inline(...ALL), skip: "none" };

    const reports = await Promise.all([scene.run(input), scene.run(input)]);

    expect(reports.map(({ counts }) => counts.applied + counts.upToDate)).toEqual([3, 3]);
    expect(reports.reduce((sum, { counts }) => sum + counts.applied, 0)).toBe(3);
    for (const id of ALL)
      expect(await scene.database(id).sql("select from orders")).toHaveLength(1);
    expect(scene.text("ledger.jsonl").trim().split("\n")).toHaveLength(3);
  });
});
