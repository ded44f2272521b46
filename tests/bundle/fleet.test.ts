import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FleetPlan } from "../../lib/fleet/fleet-plan.ts";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import type { Outcome } from "../../local/lambda/sandbox.ts";
import { type LocalS3, startS3 } from "../../local/s3/s3.ts";
import { jumpingClock } from "../../local/step-functions/clock.ts";
import { startStepFunctions } from "../../local/step-functions/step-functions.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type AuthoredMigration, type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { expectFleetReport, expectReport } from "../setup/report-schema.ts";

const TENANTS: AuthoredMigration = {
  tag: "0000_orders",
  when: 1_000,
  statements: ["create table orders (id int primary key)"],
};
const MORE: AuthoredMigration = {
  tag: "0001_more",
  when: 2_000,
  statements: ["alter table orders add note text", "alter table orders add check (id < 10)"],
};

let own: TestDatabase;
let one: TestDatabase;
let two: TestDatabase;
let s3: LocalS3;
let secrets: LocalSecrets;
let deployment: Deployment;
let hash = "";
let runs = 0;

beforeAll(async () => {
  [own, one, two] = await Promise.all([
    createTestDatabase(),
    createTestDatabase(),
    createTestDatabase(),
  ]);
  [s3, secrets] = await Promise.all([startS3({ buckets: ["fleet"] }), startSecrets()]);
  secrets.set("/tenants/one", one.url);
  secrets.set("tenants/two", JSON.stringify({ address: two.url }));
  deployment = prepareDeployment({
    ...(await own.functionEnvironment()),
    ...secrets.environment,
    ...s3.environment,
    TARGETS: `parameter:/tenants/*,secret:tenants/*,database:${own.name}*`,
    FLEET_BUCKET: "fleet",
  });
  hash = await deployment.deploy(TENANTS);
});

afterAll(async () => {
  await deployment?.remove();
  await Promise.all([s3?.stop(), secrets?.stop(), own?.close(), one?.close(), two?.close()]);
});

const ONE = { id: "one", parameter: "/tenants/one" };
const TWO = { id: "two", secret: "tenants/two", field: "address" };
const OWN = () => ({ id: "own", database: own.name });

async function invoke(event: object): Promise<Outcome> {
  runs += 1;
  return await deployment.deliver({ requestId: `call-${runs}`, event });
}

/** Calls for one tenant, and returns its report. */
async function runTenant(target: object, more: object = {}) {
  const { payload } = await invoke({ target, expect: { hash }, onFailure: "return", ...more });
  return expectReport(payload);
}

const isApplied = async (database: TestDatabase) =>
  (await database.sql("select to_regclass('orders') is not null as there"))[0]?.there;

async function step(fields: object): Promise<Outcome> {
  return await invoke({ "neon-migrate.fleet": fields });
}

async function prepare(run: string, request: object): Promise<FleetPlan> {
  const { payload, functionError } = await step({ step: "prepare", run, request });
  expect([functionError, functionError && payload]).toEqual([null, null]);
  return payload as FleetPlan;
}

async function reportOn(run: string, plan: FleetPlan): Promise<FleetReport> {
  const { payload } = await step({ step: "report", run, plan });
  return expectFleetReport(payload);
}

/** Does the work of a map: calls the function for each line of a wave, and writes the results as Step Functions does. */
async function runWave(plan: FleetPlan, index: number): Promise<void> {
  const lines = textOf(plan.waves[index]?.key ?? "")
    .trim()
    .split("\n");
  const files: Record<string, object[]> = { SUCCEEDED: [], FAILED: [] };
  for (const line of lines) {
    const { target, ...more } = JSON.parse(line);
    const { payload, functionError } = await invoke({
      ...plan.request,
      ...more,
      target,
      expect: plan.expect,
    });
    const Input = JSON.stringify({ target });
    if (functionError === null) {
      const { status, applied, latest, timings } = expectReport(payload);
      const Output = JSON.stringify({
        id: target.id,
        status,
        applied: applied.length,
        latest,
        ms: timings.totalMs,
      });
      files.SUCCEEDED?.push({ Status: "SUCCEEDED", Input, Output });
    } else {
      const Cause = JSON.stringify(payload);
      expect(Cause.length).toBeLessThanOrEqual(32_768);
      files.FAILED?.push({ Status: "FAILED", Input, Error: Object(payload).errorType, Cause });
    }
  }
  const folder = `${plan.prefix}/wave-${index}/0f9e`;
  const ResultFiles = Object.fromEntries(
    Object.entries(files).map(([kind, records]) => {
      s3.store.put("fleet", `${folder}/${kind}_0.json`, JSON.stringify(records));
      return [kind, [{ Key: `${folder}/${kind}_0.json`, Size: 1 }]];
    }),
  );
  s3.store.put("fleet", `${folder}/manifest.json`, JSON.stringify({ ResultFiles }));
}

function textOf(key: string): string {
  return s3.store.get("fleet", key)?.body.toString() ?? "";
}

describe("GIVEN a function whose setting TARGETS names tenants", () => {
  test("WHEN a request names a database in each way THEN that one is migrated, and its report names the tenant", async () => {
    const reports = [await runTenant(ONE), await runTenant(TWO), await runTenant(OWN())];

    expect(reports.map(({ status, target }) => [status, target?.id])).toEqual([
      ["applied", "one"],
      ["applied", "two"],
      ["applied", "own"],
    ]);
    expect(await Promise.all([one, two, own].map(isApplied))).toEqual([true, true, true]);
  });

  test("WHEN no target is named THEN the function's own database is meant, and the report has none", async () => {
    expect(expectReport((await invoke({ action: "status" })).payload)).toMatchObject({
      target: null,
      database: { name: own.name },
    });
  });

  test("WHEN a target is not named by it THEN it is denied before anything is read", async () => {
    const { error, target } = await runTenant({ id: "prod", parameter: "/prod/url" });

    expect([error?.code, target?.id, secrets.reads("/prod/url")]).toEqual([
      "TARGET_DENIED",
      "prod",
      0,
    ]);
    expect(error?.message).toContain("Nothing was run.");
  });

  test("WHEN a URL is in a target THEN it is refused, and is nowhere in answer and log", async () => {
    const { payload, logs } = await invoke({
      target: { id: "x", parameter: one.url },
      action: "plan",
    });

    expect(Object(payload).errorType).toBe("REQUEST_INVALID");
    expect(JSON.stringify([payload, logs])).not.toContain(one.owner.name);
  });

  test("WHEN another bundle is expected THEN nothing is read and nobody connected to", async () => {
    const reads = secrets.reads("/tenants/one");

    const { error } = await runTenant(ONE, { expect: { hash: "0".repeat(64) } });

    expect([error?.code, secrets.reads("/tenants/one")]).toEqual(["BUNDLE_MISMATCH", reads]);
    expect(error?.message).toContain("Nothing was run.");
  });

  test("WHEN a tenant is gone THEN that is a code of its own, wherever it is missing", async () => {
    const missing = [
      { id: "a", parameter: "/tenants/nobody" },
      { id: "b", secret: "tenants/nobody" },
      { id: "c", database: `${own.name}_gone` },
    ];

    for (const target of missing) {
      expect((await runTenant(target)).error).toMatchObject({
        code: "TARGET_GONE",
        retryable: false,
      });
    }
  });

  test("WHEN a target comes over HTTP THEN TARGETS decides as for any caller, and it is not queued", async () => {
    const call = async (target: object, headers = {}) => {
      const { payload } = await invoke({
        ...{ version: "2.0", rawPath: "/migrations", headers, body: JSON.stringify({ target }) },
        requestContext: { http: { method: "POST" } },
      });
      return [Object(payload).statusCode, Object(payload).body];
    };

    expect(await call(ONE)).toEqual([200, expect.stringContaining('"target":{"id":"one"}')]);
    expect(await call({ id: "prod", parameter: "/prod/url" })).toEqual([403, expect.anything()]);
    expect(await call(ONE, { prefer: "respond-async" })).toEqual([
      400,
      expect.stringContaining("Nothing was run; send it without Prefer"),
    ]);
  });
});

describe("GIVEN a fleet of three", () => {
  const all = () => ({ targets: { inline: [ONE, TWO, OWN()] } });

  test("WHEN a migration fails on one of them THEN the others have it, and the report tells who and why", async () => {
    await two.sqlAsOwner("insert into orders values (99)");
    hash = await deployment.deploy(TENANTS, MORE);
    const plan = await prepare("first", {
      ...all(),
      waves: [{ tenants: ["own"] }, { percent: 100 }],
      tolerated: { count: 1 },
    });

    await runWave(plan, 0);
    await runWave(plan, 1);
    const report = await reportOn("first", plan);

    expect(Buffer.byteLength(JSON.stringify(plan))).toBeLessThanOrEqual(4_096);
    expect(plan).toMatchObject({
      counts: { total: 3, skipped: 0, due: 3 },
      waves: [{ count: 1 }, { count: 2 }],
    });
    expect(report).toMatchObject({
      status: "partial",
      counts: { applied: 2, failed: 1 },
      failures: [
        {
          code: "MIGRATION_FAILED",
          sqlstate: "23514",
          migration: "0001_more",
          statement: 2,
          firstIds: ["two"],
        },
      ],
      behind: { count: 1 },
    });
    expect(JSON.stringify(report)).not.toContain("99");
    expect(textOf(report.files.report)).toBe(JSON.stringify(report));
    expect(textOf(report.behind.file)).toMatch(/^\{"id":"two".*\}\n$/);
    expect(textOf(report.files.tenants).trim().split("\n")).toHaveLength(3);
  });

  test("WHEN the same input comes again THEN only those are due that the fleet's ledger does not know", async () => {
    const plan = await prepare("second", { ...all(), sample: 0 });

    expect(plan.counts).toEqual({ total: 3, skipped: 2, due: 1 });
    expect(textOf(plan.waves[0]?.key ?? "")).toBe(`${JSON.stringify({ target: TWO })}\n`);
  });

  test("WHEN the ledger says applied and a database was restored to yesterday THEN one lie asks everybody", async () => {
    await one.sqlAsOwner("alter table orders drop column note, drop constraint orders_id_check");
    await one.sqlAsOwner("delete from drizzle.__drizzle_migrations where created_at = 2000");

    const ledger = textOf("ledger.jsonl");
    const plan = await prepare("third", { ...all(), sample: 1 });
    const next = await prepare("behind-third", { ...all(), sample: 0 });

    expect(plan.counts).toEqual({ total: 3, skipped: 0, due: 3 });
    // Also where the run that found it was stopped, and has asked nobody.
    expect(next.counts).toEqual(plan.counts);
    s3.store.put("fleet", "ledger.jsonl", ledger);
  });

  test("WHEN the reference of a tenant leads elsewhere THEN the ledger does not skip it", async () => {
    secrets.set("/tenants/elsewhere", one.url);
    const moved = {
      targets: { inline: [{ ...ONE, parameter: "/tenants/elsewhere" }, OWN()] },
      sample: 0,
    };

    expect((await prepare("moved", moved)).counts).toEqual({ total: 2, skipped: 1, due: 1 });
  });

  test("WHEN the code goes back THEN the ledger of the newer bundle skips nobody", async () => {
    await deployment.deploy(TENANTS);

    expect((await prepare("older", { ...all(), sample: 0 })).counts.due).toBe(3);

    await deployment.deploy(TENANTS, MORE);
  });

  test("WHEN the ledger is damaged or missing THEN everybody is asked", async () => {
    s3.store.put("fleet", "ledger.jsonl", '{"id":');

    expect((await prepare("damaged", { ...all(), sample: 0 })).counts.due).toBe(3);
  });

  test("WHEN the list is in S3, or a query's THEN they are the same tenants", async () => {
    const lines = [ONE, TWO].map((each) => JSON.stringify(each)).join("\r\n");
    s3.store.put("fleet", "lists/all.jsonl", `\ufeff${lines}\r\n`);
    await own.sqlAsOwner("create table tenants (name text, place text)");
    await own.sqlAsOwner("insert into tenants values ('one', '/tenants/one')");
    const query = "select name as id, place as parameter from tenants";
    const sql = (text: string) => ({ sql: { target: { database: own.name }, query: text } });

    const fromS3 = await prepare("s3", {
      targets: { s3: { bucket: "fleet", key: "lists/all.jsonl" } },
    });
    const fromSql = await prepare("sql", { targets: sql(query) });
    const writing = [
      "delete from tenants returning name as id",
      "commit; delete from tenants; select 'one' as id, '/tenants/one' as parameter",
      "set transaction read write; delete from tenants returning name as id",
      "do $$ begin set transaction read write; delete from tenants; commit; end $$",
    ];
    const ends: unknown[] = [];
    for (const text of writing) {
      const { functionError } = await step({
        ...{ step: "prepare", run: "w", request: { targets: sql(text) } },
      });
      ends.push(functionError);
    }

    expect([fromS3.counts.total, fromSql.counts.total]).toEqual([2, 1]);
    expect(ends).toEqual(writing.map(() => "Unhandled"));
    expect(await own.sql("select name from tenants")).toHaveLength(1);
  });

  test("WHEN an entry has a URL, or the list is empty THEN it is refused and nothing is written", async () => {
    const before = s3.calls.filter(({ operation }) => operation === "PutObject").length;

    const withUrl = await step({
      step: "prepare",
      run: "url",
      request: { targets: { inline: [ONE, { id: "x", url: two.url }] } },
    });
    const empty = await step({
      step: "prepare",
      run: "none",
      request: { targets: { inline: [] } },
    });

    expect(Object(withUrl.payload)).toMatchObject({
      errorType: "FLEET_INVALID",
      errorMessage: expect.stringMatching(/^Entry 2 of/),
    });
    expect(JSON.stringify([withUrl.payload, withUrl.logs])).not.toContain(two.owner.name);
    expect(Object(empty.payload).errorType).toBe("FLEET_INVALID");
    expect(s3.calls.filter(({ operation }) => operation === "PutObject")).toHaveLength(before);
  });

  test("WHEN an empty list is allowed THEN there is no wave, and the report is up-to-date", async () => {
    const plan = await prepare("empty", { targets: { inline: [] }, allowEmpty: true });

    expect(plan.waves).toEqual([]);
    expect((await reportOn("empty", plan)).status).toBe("up-to-date");
  });

  test("WHEN the first tenant is a canary THEN only its line asks for a rehearsal", async () => {
    const plan = await prepare("canary", { ...all(), skip: "none", rehearse: "canary" });
    const lines = textOf(plan.waves[0]?.key ?? "")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));

    expect(plan.waves[0]?.rehearse).toBe(true);
    expect(lines.map(({ rehearsal }) => rehearsal)).toEqual(["first", undefined, undefined]);
  });

  test("WHEN the machine runs it THEN a wave over its budget ends it, and the same input goes on behind the mend", async () => {
    const machine = await startStepFunctions({
      definition: JSON.parse(readFileSync("infra/fleet.asl.json", "utf8")),
      substitutions: { FunctionArn: `${deployment.functionArn}:1`, Bucket: "fleet" },
      invoke: (_function, event) => invoke(Object(event)),
      ...{ s3: s3.store, clock: jumpingClock() },
    });
    const input = {
      ...all(),
      waves: [{ tenants: ["two"], pauseSeconds: 300 }, { percent: 100 }],
    };

    const broken = machine.start(input, "broken");
    await broken.ended;
    const report = expectFleetReport(JSON.parse(textOf("runs/broken/report.json")));
    await two.sqlAsOwner("delete from orders where id = 99");
    const mended = machine.start(input, "mended");
    await mended.ended;
    await machine.shutDown();

    expect([broken.status, broken.error]).toEqual(["FAILED", "FLEET_FAILED"]);
    expect(report).toMatchObject({
      status: "stopped",
      waves: [{ failed: 1, overBudget: true }, { pending: 2 }],
      failures: [{ code: "MIGRATION_FAILED", firstIds: ["two"] }],
      stoppedBy: { error: "States.ExceedToleratedFailureThreshold" },
    });
    expect(mended.status).toBe("SUCCEEDED");
    expect(expectFleetReport(mended.output)).toMatchObject({
      status: "applied",
      counts: { total: 3, failed: 0, unknown: 0, pending: 0 },
      behind: { count: 0 },
    });
  });

  test("WHEN the bucket may not be read THEN the refusal says what to grant", async () => {
    s3.deny("fleet", "ledger.jsonl", { operations: ["GetObject"] });

    const { payload } = await step({ step: "prepare", run: "denied", request: all() });

    expect(Object(payload)).toMatchObject({
      errorType: "FLEET_UNAVAILABLE",
      errorMessage: expect.stringContaining("s3:GetObject on ledger.jsonl in the bucket fleet"),
    });
  });
});
