import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from "vitest";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import { ORGANIZATION } from "../../local/neon/project.ts";
import { type LocalS3, startS3 } from "../../local/s3/s3.ts";
import { jumpingClock } from "../../local/step-functions/clock.ts";
import type { Execution } from "../../local/step-functions/execution.ts";
import {
  type LocalStepFunctions,
  startStepFunctions,
} from "../../local/step-functions/step-functions.ts";
import { type AuthoredMigration, type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { useNeon } from "../setup/neon.ts";
import { expectFleetReport } from "../setup/report-schema.ts";

const ORDERS: AuthoredMigration = {
  tag: "0000_orders",
  when: 1_000,
  statements: ["create table orders (id int primary key, total int)"],
};
const CHECKED: AuthoredMigration = {
  tag: "0001_checked",
  when: 2_000,
  statements: ["alter table orders add note text", "alter table orders add check (total < 100)"],
};
/** The project of a tenant that is no customer any more. */
const LEFT = "left-tenant-12345678";

const scene = useNeon({
  plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
  neighbours: [LEFT],
});
let s3: LocalS3;
let secrets: LocalSecrets;
let deployment: Deployment;
let machine: LocalStepFunctions;
let globexId = "";
let runs = 0;

beforeAll(async () => {
  [s3, secrets] = await Promise.all([startS3({ buckets: ["fleet"] }), startSecrets()]);
  secrets.set("shop/neon", JSON.stringify({ token: scene.neon.apiKey }));
  deployment = prepareDeployment({
    ...{ ...secrets.environment, ...s3.environment, NEON_WS_PROXY: scene.relay.address },
    ...{ NEON_API_URL: scene.neon.url, NEON_API_KEY_SECRET: "shop/neon#token" },
    ...{ TARGETS: `neon:${scene.neon.projectId},neon:left-*`, FLEET_BUCKET: "fleet" },
  });
  const globex = await scene.makeBranch();
  globexId = scene.neon.branch(globex).id;
  machine = await startStepFunctions({
    definition: JSON.parse(readFileSync("infra/fleet.asl.json", "utf8")),
    substitutions: { FunctionArn: `${deployment.functionArn}:1`, Bucket: "fleet" },
    invoke: (_function, event) => {
      runs += 1;
      return deployment.deliver({ requestId: `call-${runs}`, event: Object(event) });
    },
    ...{ s3: s3.store, clock: jumpingClock() },
  });
});

afterAll(async () => {
  await machine?.shutDown();
  await deployment?.remove();
  await Promise.all([s3?.stop(), secrets?.stop()]);
});

/** A failure of one test leaves nothing to the next. */
afterEach(async () => {
  for (const branch of [acme(), globex()]) {
    await branch.sql("drop schema if exists drizzle cascade; drop table if exists orders");
  }
});

const acme = () => scene.neon.branch("main");
const globex = () => scene.neon.branch(globexId);
const place = () => ({ project: scene.neon.projectId, database: "neondb", role: "neondb_owner" });
/** The one on the project's default branch, the other on a branch of its own. */
const BOTH = () => [
  { id: "acme", neon: place() },
  { id: "globex", neon: { ...place(), branch: globexId } },
];
const CANARY = {
  ...{ rehearse: "canary", waves: [{ count: 1 }, { percent: 100 }], skip: "none" },
} as const;

/** Runs the fleet, and returns the execution, and the report that it left. */
async function run(input: object) {
  const execution = machine.start(input);
  await machine.idle();
  const text = s3.store.get("fleet", `runs/${execution.name}/report.json`).body.toString();
  return { execution, report: expectFleetReport(JSON.parse(text)) };
}

/** The times of the migrations in a tenant's ledger. */
async function timesIn({ sql }: ReturnType<typeof acme>): Promise<readonly unknown[]> {
  const rows = await sql(
    "select created_at::int as time from drizzle.__drizzle_migrations order by 1",
  );
  return rows.map(({ time }) => time);
}

/** The parents of the branches that were asked for since `from`. */
const parentsSince = (from: number) =>
  scene.neon.calls
    .slice(from)
    .filter(({ call }) => call === "createProjectBranch")
    .map(({ body }) => Object(Object(body).branch).parent_id);

const branchesNow = () => [...scene.neon.branchNames()].sort();

/** All that somebody may read who may look at the runs: their histories, the bucket, and the logs of the function. */
function readable(execution: Execution): string {
  const children = execution.mapRuns.flatMap((each) => each.children);
  const keys = s3.store.list("fleet", {}).objects.map(({ key }) => key);
  return JSON.stringify([
    ...[execution, ...children].map((each) => [each?.history, each?.inputText, each?.outputText]),
    ...keys.map((key) => s3.store.get("fleet", key).body.toString()),
    ...deployment.ended.map(({ payload, logs }) => [payload, logs]),
  ]);
}

function expectNoSecret(execution: Execution): void {
  const passwords = [acme(), globex()].map(({ url }) => new URL(url).password);
  const text = readable(execution);
  expect([scene.neon.apiKey, ...passwords].filter((secret) => text.includes(secret))).toEqual([]);
}

test("tenants by neon are migrated on their branches, and the canary is rehearsed on a branch of its own first", async () => {
  await deployment.deploy(ORDERS);
  await run({ targets: { inline: BOTH() } });
  await deployment.deploy(ORDERS, CHECKED);
  const [before, from] = [branchesNow(), scene.neon.calls.length];

  // The canary is the tenant on the branch that is not the default one.
  const waves = [{ tenants: ["globex"] }, { percent: 100 }];
  const { execution, report } = await run({ ...CANARY, targets: { inline: BOTH() }, waves });

  expect(execution.status).toBe("SUCCEEDED");
  expect(report).toMatchObject({
    ...{ status: "applied", counts: { total: 2, applied: 2 }, behind: { count: 0 } },
    canary: { id: "globex", rehearsal: "passed" },
  });
  expect(await Promise.all([timesIn(acme()), timesIn(globex())])).toEqual([
    [1_000, 2_000],
    [1_000, 2_000],
  ]);
  expect(parentsSince(from)).toEqual([globexId]);
  expect(branchesNow()).toEqual(before);
  expectNoSecret(execution);
});

test("a canary whose rehearsal fails is not touched, counts as a failure, and the report says so", async () => {
  await deployment.deploy(ORDERS);
  await run({ targets: { inline: BOTH() } });
  await acme().sql("insert into orders values (1, 4711)");
  await deployment.deploy(ORDERS, CHECKED);
  const [before, from] = [branchesNow(), scene.neon.calls.length];

  const { execution, report } = await run({ ...CANARY, targets: { inline: BOTH() } });

  expect([execution.status, execution.error]).toEqual(["FAILED", "FLEET_FAILED"]);
  expect(report).toMatchObject({
    ...{ status: "stopped", counts: { failed: 1, pending: 1, applied: 0 } },
    canary: { id: "acme", rehearsal: "failed" },
    waves: [{ count: 1, failed: 1, overBudget: true }, { pending: 1 }],
    failures: [
      {
        ...{ code: "MIGRATION_FAILED", sqlstate: "23514", migration: "0001_checked", statement: 2 },
        firstIds: ["acme"],
      },
    ],
  });
  expect(JSON.stringify(report)).not.toContain("4711");
  expect(await Promise.all([timesIn(acme()), timesIn(globex())])).toEqual([[1_000], [1_000]]);
  const columns = "select from information_schema.columns where table_name = 'orders'";
  expect(await acme().sql(columns)).toHaveLength(2);
  expect(parentsSince(from)).toEqual([acme().id]);
  expect(branchesNow()).toEqual(before);
  expectNoSecret(execution);

  await acme().sql("delete from orders");
  const mended = await run({ ...CANARY, targets: { inline: BOTH() } });

  expect(mended.report).toMatchObject({
    ...{ status: "applied", counts: { applied: 2 } },
    canary: { id: "acme", rehearsal: "passed" },
  });
});

test("a canary over a limit of its rehearsal is not touched either", async () => {
  await deployment.deploy(ORDERS);
  await run({ targets: { inline: BOTH() } });
  const slow = { ...CHECKED, statements: [...CHECKED.statements, "select pg_sleep(0.2)"] };
  await deployment.deploy(ORDERS, slow);

  const request = { rehearsalLimits: { blockedMs: 100 } };
  const { report } = await run({ ...CANARY, request, targets: { inline: BOTH() } });

  expect(report).toMatchObject({
    ...{ status: "stopped", counts: { failed: 1, pending: 1 } },
    canary: { id: "acme", rehearsal: "refused" },
    failures: [{ code: "REHEARSAL_LIMIT" }],
  });
  expect(await timesIn(acme())).toEqual([1_000]);
});

test("a canary whose branch cannot be had is tried again, and then not touched", async () => {
  await deployment.deploy(ORDERS);
  await run({ targets: { inline: BOTH() } });
  await deployment.deploy(ORDERS, CHECKED);
  onTestFinished(() => scene.neon.clearFaults());
  scene.neon.fail("createProjectBranch", { status: 422, message: "limit of branches" }, 100);
  const before = deployment.ended.length;

  const { report } = await run({ ...CANARY, targets: { inline: BOTH() } });

  expect(report).toMatchObject({
    ...{ status: "stopped", counts: { failed: 1, pending: 1 } },
    canary: { id: "acme", rehearsal: null },
    failures: [{ code: "REHEARSAL_UNAVAILABLE", firstIds: ["acme"] }],
  });
  // Prepare, the canary and its three repetitions, the report.
  expect(deployment.ended.length - before).toBe(6);
  expect(await timesIn(acme())).toEqual([1_000]);
});

test("the projects of an organisation are a fleet, and one that left is gone", async () => {
  await deployment.deploy(ORDERS);
  const { project: _, ...login } = place();
  const neon = { organization: ORGANIZATION, ...login };

  const { report } = await run({ targets: { neon }, gone: "skip" });
  const again = await run({ targets: { neon }, gone: "skip", sample: 0 });

  expect(report).toMatchObject({
    ...{ status: "applied", counts: { total: 2, applied: 1, gone: 1 }, failures: [] },
  });
  expect(await timesIn(acme())).toEqual([1_000]);
  expect(again.report.counts).toMatchObject({ skipped: 1, gone: 1 });
});
