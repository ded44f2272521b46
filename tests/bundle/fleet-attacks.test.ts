import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AuthoredMigration } from "../setup/deployment.ts";
import { useFleet } from "../setup/fleet-scene.ts";

const ORDERS: AuthoredMigration = {
  tag: "0000_orders",
  when: 1_000,
  statements: ["create table orders (id int primary key)"],
};
const scene = useFleet("one", "two", "three", "dropped");
const STAYING = ["one", "two", "three"];

const inline = (...ids: readonly string[]) => ({ targets: { inline: scene.targetsOf(...ids) } });

beforeEach(async () => {
  await scene.deployment.deploy(ORDERS);
});

afterEach(async () => {
  for (const id of STAYING) {
    const clean = "drop schema if exists drizzle cascade; drop table if exists orders";
    await scene.database(id).sql(clean);
  }
  scene.s3.store.put("fleet", "ledger.jsonl", "");
});

describe("a tenant", () => {
  test("whose database is dropped in the middle of its wave is gone, and the others are migrated", async () => {
    const { name, admin } = scene.database("dropped");
    const input = {
      ...inline("dropped", "one", "two"),
      maxConcurrency: 1,
      tolerated: { count: 1 },
    };

    const first = await scene.run(input, async (id, call) => {
      if (id === "dropped") await admin.dropDatabase(name);
      return await call();
    });
    const second = await scene.run({ ...input, gone: "skip", sample: 0 });

    expect(first).toMatchObject({
      ...{ status: "partial", counts: { gone: 1, failed: 0, applied: 2 } },
      failures: [{ code: "TARGET_GONE", firstIds: ["dropped"] }],
    });
    expect(second).toMatchObject({
      ...{ status: "up-to-date", counts: { gone: 1, skipped: 2 }, failures: [] },
    });
  });
});

describe("ids", () => {
  const HOSTILE = [
    ...[
      "__proto__",
      "constructor",
      "../../ledger.jsonl",
      "{% $plan %}",
      "<script>alert(1)</script>",
    ],
    ...["a\"b'c\\d", "🐘".repeat(50), "tenant-".padEnd(200, "x"), "a b", "$(reboot)", "%s%n"],
  ];

  test("of any kind are names and nothing else: in the machine, the report, the ledger and the next run", async () => {
    const targets = HOSTILE.map((id, index) => {
      const place = `/tenants/hostile-${index}`;
      scene.secrets.set(place, scene.database(index === 0 ? "two" : "one").url);
      return { id, parameter: place };
    });
    const input = { targets: { inline: targets }, sample: 0, maxConcurrency: 1 };

    const first = await scene.run(input);
    const second = await scene.run(input);

    expect(first).toMatchObject({
      status: "applied",
      counts: { total: HOSTILE.length, applied: 2 },
    });
    const lines = scene
      .text(first.files.tenants)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ id }) => id).sort()).toEqual([...HOSTILE].sort());
    expect(second.counts).toMatchObject({ skipped: HOSTILE.length, failed: 0 });
  });
});

describe("a source", () => {
  const list = (text: string) => {
    scene.s3.store.put("fleet", "lists/hostile.jsonl", text);
    return { targets: { s3: { bucket: "fleet", key: "lists/hostile.jsonl" } } };
  };
  const good = () => JSON.stringify(scene.targetsOf("one")[0]);
  /** Why the machine did not come to its waves. */
  async function refusal(input: object): Promise<string> {
    const { execution, machine } = await scene.start(input);
    await machine.idle();
    expect([execution.status, execution.mapRuns.length]).toEqual(["FAILED", 0]);
    return `${execution.error}: ${JSON.parse(execution.cause ?? "{}").errorMessage}`;
  }

  test.each([
    ["nested deeper than a stack is", () => `{"id":${"[".repeat(200_000)}${"]".repeat(200_000)}}`],
    ["of 8 MB", () => `{"id":"${"x".repeat(8 * 1024 ** 2)}","parameter":"/tenants/one"}`],
    ["of 8 MB that is no JSON", () => "{".repeat(8 * 1024 ** 2)],
    ["with a field of another language", () => '{"id":"one","parámetro":"/tenants/one"}'],
  ])("with a line %s is refused by its number, in a few words", async (_what, line) => {
    const said = await refusal(list(`${good()}\n${line()}\n`));

    expect(said).toMatch(/^FLEET_INVALID: Line 2 of s3:\/\/fleet\/lists\/hostile\.jsonl /);
    expect(said.length).toBeLessThan(600);
  });

  test("without tenants is refused, and one that may be empty lets all of them leave the ledger", async () => {
    await scene.run(list(good()));
    const before = scene.text("ledger.jsonl");

    expect(await refusal(list("\n"))).toMatch(/^FLEET_INVALID: The list of targets is empty\./);
    expect(scene.text("ledger.jsonl")).toBe(before);
    expect(await scene.run({ ...list(""), allowEmpty: true })).toMatchObject({
      ...{ status: "up-to-date", counts: { total: 0 }, waves: [] },
    });
    expect(scene.text("ledger.jsonl")).toMatch(/^\{"id":"one","hash":null,.*\}\n$/);
  });

  test.each([
    [
      "'marker'::int",
      /^FLEET_INVALID: The run was refused with SQLSTATE 22P02, in words that may quote data\. The function's log has all of it\.$/,
    ],
    [
      "nobodys_column",
      /^FLEET_INVALID: The query of targets\.sql failed: column "nobodys_column" does not exist\.$/,
    ],
  ])("by a query that fails in %s says so without data", async (expression, message) => {
    const { one } = { one: scene.targetsOf("one")[0]?.parameter };
    const query = `select ${expression} as id`;

    expect(await refusal({ targets: { sql: { target: { parameter: one }, query } } })).toMatch(
      message,
    );
  });

  test("by a query with passwords in a column is refused, and shows none of them", async () => {
    const query = "select 'one' as id, 'postgres:' || '//app:marker@host/db' as parameter";
    const target = { parameter: scene.targetsOf("one")[0]?.parameter };

    const said = await refusal({ targets: { sql: { target, query } } });

    expect(said).toMatch(/^FLEET_INVALID: Row 1 of targets\.sql holds a connection string/);
    expect(JSON.stringify([said, scene.deployment.ended])).not.toContain("app:marker");
  });
});

describe("a resume with another input", () => {
  test("asks those that are not through, whatever waves and budget it has", async () => {
    await scene.database("two").sqlAsOwner("create table orders (other int)");
    const first = await scene.run({
      ...{ ...inline(...STAYING), waves: [{ tenants: ["two"] }, { percent: 100 }] },
    });
    await scene.database("two").sqlAsOwner("drop table orders");

    const second = await scene.run({
      ...{ ...inline("three", "two", "one"), waves: [{ count: 2 }, { count: 50 }] },
      ...{ tolerated: { percent: 100 }, maxConcurrency: 1, sample: 0 },
    });
    const third = await scene.run({ ...inline("one"), list: "part", sample: 0 });
    const fourth = await scene.run({ ...inline(...STAYING), sample: 0 });

    expect(first).toMatchObject({ status: "stopped", counts: { failed: 1, pending: 2 } });
    expect(second).toMatchObject({ status: "applied", counts: { applied: 3 } });
    expect([third.counts.skipped, fourth.counts.skipped]).toEqual([1, 3]);
  });
});

describe("a connection string", () => {
  const MARKER = "marker-4711-word";
  const { host } = new URL("postgres://127.0.0.1:9");
  const WRONG = [
    `postgres//app:${MARKER}@${host}/db`,
    `postgres://app:${MARKER}@${host}:port/db`,
    `postgres://app:${MARKER}@nobody.invalid/db`,
    `mysql://app:${MARKER}@${host}/db`,
    `{"password":"${MARKER}"`,
    `{"password":"${MARKER}","host":"127.0.0.1"}`,
    `${MARKER}`,
    `postgres://app:${encodeURIComponent(`p@${MARKER}`)}@${host}/db?sslmode=${MARKER}`,
    `host=${host} user=app password=${MARKER}`,
  ];

  test("that is wrong in any way is nowhere to be read who may look at the runs", async () => {
    const { username, port, pathname } = new URL(scene.database("one").url);
    const refused = `postgres://${username}:${MARKER}@127.0.0.1:${port}${pathname}`;
    const values = [...WRONG, refused];
    for (const [index, value] of values.entries()) {
      scene.secrets.set(`/tenants/wrong-${index}`, value);
    }
    const list = scene.targetsOf(...values.map((_, index) => `wrong-${index}`));
    const input = {
      ...{ targets: { inline: [...list, ...scene.targetsOf("one")] } },
      ...{ tolerated: { percent: 100 }, request: { timeoutMs: 15_000 } },
    };

    const { execution, machine } = await scene.start(input);
    await machine.idle();

    const children = execution.mapRuns.flatMap(({ children: all }) => all);
    const files = scene.s3.store.list("fleet", {}).objects.map(({ key }) => scene.text(key));
    const logs = scene.deployment.ended.map(({ payload, logs: lines }) => [payload, lines]);
    const histories = [execution, ...children].map((each) => [each?.history, each?.cause]);
    const readable = JSON.stringify([files, logs, histories]);
    expect(children).toHaveLength(values.length + 1);
    const lines = scene.text(`runs/${execution.name}/tenants.jsonl`);
    expect(lines).toContain('"status":"applied"');
    expect(lines).toContain("Give it the string itself, or an object with the field url.");
    expect(readable.match(new RegExp(`.{0,80}${MARKER}.{0,20}`, "g")) ?? []).toEqual([]);
  });
});
