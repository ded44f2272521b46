import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { serviceTimeoutOf } from "../../lib/events/redelivery.ts";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import {
  type LocalCloudFormation,
  startCloudFormation,
} from "../../local/cloudformation/cloudformation.ts";
import {
  type AuthoredMigration,
  type Deployment,
  prepareDeployment,
  TIMEOUT_MS,
} from "../setup/deployment.ts";
import { useNeon } from "../setup/neon.ts";
import { jobOf } from "../setup/stack.ts";

const PLACES = { DATABASE_URL_SECRET: "shop/database", NEON_API_KEY_SECRET: "shop/neon#token" };

const scene = useNeon({
  plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
});
let secrets: LocalSecrets;
let deployment: Deployment;
let stack: LocalCloudFormation;
/** The branches that were asked for before the test. */
let before = 0;

beforeAll(async () => {
  secrets = await startSecrets();
  secrets.set("shop/database", scene.neon.productionUrl);
  secrets.set("shop/neon", JSON.stringify({ token: scene.neon.apiKey }));
  deployment = prepareDeployment({
    ...{ ...secrets.environment, ...PLACES, NEON_WS_PROXY: scene.relay.address },
    ...{ NEON_API_URL: scene.neon.url, NEON_PROJECT_ID: scene.neon.projectId },
  });
});

afterAll(async () => {
  await stack?.stop();
  await deployment?.remove();
  await secrets?.stop();
});

const ORDERS: AuthoredMigration = {
  tag: "0000_orders",
  when: 1_000,
  statements: [
    "create table orders (id int primary key, total int)",
    "insert into orders select i, i from generate_series(1, 100) i",
  ],
};
const FITS: AuthoredMigration = {
  tag: "0001_fits",
  when: 2_000,
  statements: ["alter table orders add check (total > 0)"],
};
const CONTRADICTED: AuthoredMigration = {
  tag: "0001_contradicted",
  when: 2_000,
  statements: ["alter table orders add note text", "alter table orders add check (total < 100)"],
};
const SLOW: AuthoredMigration = {
  tag: "0001_slow",
  when: 2_000,
  statements: ["alter table orders add note text", "select pg_sleep(0.2)"],
};

/** Replaces the code. Returns the properties that the construct gives the run. */
async function deploy(...migrations: readonly AuthoredMigration[]): Promise<object> {
  const MigrationsHash = await deployment.deploy(...migrations);
  return {
    ...{ MigrationsHash, ServiceTimeout: serviceTimeoutOf(TIMEOUT_MS / 1_000) },
    rehearsal: "first",
  };
}

/** The names of the migrations in production's ledger, as the times in it tell. */
async function appliedTimes(): Promise<readonly unknown[]> {
  const rows = await scene.neon
    .branch("main")
    .sql("select created_at::int as time from drizzle.__drizzle_migrations order by 1");
  return rows.map(({ time }) => time);
}

/** How many branches the stand-in was asked for. */
const branchesMade = () =>
  scene.neon.calls.filter(({ call }) => call === "createProjectBranch").length;

/** The report that the function has logged last. */
function lastReport(): Readonly<Record<string, unknown>> {
  const lines = deployment.ended.flatMap(({ logs }) =>
    // Node may add a warning of its own.
    logs.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)),
  );
  const { report } = lines.findLast(({ event }) => /^run\.(finished|failed)$/.test(event)) ?? {};
  return report;
}

beforeEach(async () => {
  await stack?.stop();
  await scene.neon
    .branch("main")
    .sql("drop schema if exists drizzle cascade; drop table if exists orders");
  stack = await startCloudFormation({
    invoke: async (request) => {
      await deployment.deliverFromQueue(jobOf(request));
    },
    restoreCode: () => deploy(ORDERS),
  });
  const created = await stack.create("Migrations", await deploy(ORDERS));
  expect(created.status).toBe("CREATE_COMPLETE");
  before = branchesMade();
});

describe("a deployment with a rehearsal, its key in a secret,", () => {
  test("rehearses on a branch, then applies, and leaves no branch", async () => {
    const updated = await stack.update("Migrations", await deploy(ORDERS, FITS));

    expect(updated).toMatchObject({ status: "UPDATE_COMPLETE", problems: [] });
    expect(lastReport()).toMatchObject({
      status: "applied",
      applied: [{ tag: FITS.tag }],
      rehearsal: {
        ...{ status: "passed", applied: [{ tag: FITS.tag }], branch: { deleted: true } },
        standstills: [{ relation: "public.orders", blocks: "reads" }],
      },
    });
    expect(await appliedTimes()).toEqual([1_000, 2_000]);
    expect(branchesMade()).toBe(before + 1);
    expect(scene.neon.branchNames()).toEqual(["main"]);
    expect(JSON.stringify(deployment.ended)).not.toContain(scene.neon.apiKey);
  });

  test("answers FAILED with the migration's own code where the data of production contradicts it", async () => {
    const properties = await deploy(ORDERS, CONTRADICTED);
    const updated = await stack.update("Migrations", properties);
    const [{ status, reason } = expect.fail("There was no answer.")] = updated.exchanges;

    expect(updated).toMatchObject({ problems: [], exchanges: [{}, {}] });
    expect(status).toBe("FAILED");
    expect(reason).toMatch(/^MIGRATION_FAILED: .*0001_contradicted.*23514/s);
    expect(await appliedTimes()).toEqual([1_000]);
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("answers FAILED where a limit does not hold", async () => {
    const properties = { ...(await deploy(ORDERS, SLOW)), rehearsalLimits: { blockedMs: "100" } };
    const updated = await stack.update("Migrations", properties);
    const [answer] = updated.exchanges;

    expect(answer).toMatchObject({ status: "FAILED" });
    expect(answer?.reason).toMatch(/^REHEARSAL_LIMIT: .*public\.orders stood still for/s);
    expect(await appliedTimes()).toEqual([1_000]);
  });

  test("is rolled back while Neon's API is away: the older code has nothing to rehearse", async () => {
    onTestFinished(() => scene.neon.clearFaults());
    scene.neon.fail("listProjectEndpoints", { status: 401, message: "revoked" }, 100);

    const updated = await stack.update("Migrations", await deploy(ORDERS, FITS));

    expect(updated.status).toBe("UPDATE_ROLLBACK_COMPLETE");
    expect(updated.exchanges.map(({ status }) => status)).toEqual(["FAILED", "SUCCESS"]);
    expect(updated.exchanges[0]?.reason).toMatch(/^REHEARSAL_UNAVAILABLE: /);
    expect(branchesMade()).toBe(before);
    expect(await appliedTimes()).toEqual([1_000]);
  });
});
