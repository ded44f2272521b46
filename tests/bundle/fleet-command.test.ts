import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import type { FleetAnswer } from "../../bin/fleet/answer.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { type LocalFleet, startFleet } from "../../local/fleet/fleet.ts";
import { type LocalPostgres, startPostgres } from "../../local/postgres/postgres.ts";
import { type Relay, startRelay } from "../../local/relay/relay.ts";
import { type AuthoredMigration, writeDrizzleFolder } from "../setup/deployment.ts";
import { neonMigrateIn } from "../setup/neon-migrate.ts";
import { waitFor } from "../setup/wait-for.ts";

const ORDERS: AuthoredMigration = {
  tag: "0000_orders",
  when: 1_000,
  statements: ["create table orders (id int)", "insert into orders values (1), (1)"],
};
const KEY: AuthoredMigration = {
  tag: "0001_key",
  when: 2_000,
  statements: ["alter table orders add primary key (id)"],
};
const MENDED: AuthoredMigration = {
  ...KEY,
  statements: ["delete from orders where ctid <> '(0,1)'", ...KEY.statements],
};

let folder: string;
let postgres: LocalPostgres;
let relay: Relay;
let fleet: LocalFleet;
let assets = 0;

async function assetOf(...migrations: readonly AuthoredMigration[]): Promise<string> {
  assets += 1;
  const [source, asset] = [join(folder, `source-${assets}`), join(folder, `asset-${assets}`)];
  writeDrizzleFolder(source, migrations);
  await writeAsset(await compileBundle(source), asset, inject("assetFolder"));
  return asset;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "fleet-command-"));
  postgres = await startPostgres();
  const { host, port } = postgres;
  relay = await startRelay({ target: { host, port }, mode: "neon" });
  fleet = await startFleet({
    ...{ postgres, relay: relay.address },
    handlerDirectory: await assetOf(ORDERS),
  });
  const tenants = await fleet.addTenants(["acme", "globex", "initech"]);
  const lines = tenants.map(({ target }) => `${JSON.stringify(target)}\n`);
  writeFileSync(join(folder, "tenants.jsonl"), lines.join(""));
});

afterAll(async () => {
  await fleet?.stop();
  await relay?.stop();
  await postgres?.stop();
  rmSync(folder, { recursive: true });
});

async function command(verb: string, ...words: readonly string[]) {
  const line = ["fleet", verb, "--machine", fleet.machine.stateMachineArn, ...words];
  return await neonMigrateIn(folder, line, fleet.environment);
}

/** The tenants whose orders have a key. */
async function withKey(): Promise<number> {
  const asked = ["acme", "globex", "initech"].map((id) =>
    postgres.admin.sql(
      "select from pg_constraint where conname = 'orders_pkey'",
      [],
      `tenant_${id}`,
    ),
  );
  return (await Promise.all(asked)).flat().length;
}

const answerIn = (output: string): FleetAnswer => JSON.parse(output);

test("a fleet is started, stops at its canary, and goes on behind the fix", async () => {
  const none = await command("status");
  expect([none.exitCode, none.stdout]).toEqual([3, expect.stringContaining("has never run")]);

  const first = await command("start", "--targets", "tenants.jsonl", "--run", "first", "--json");
  expect(first.exitCode).toBe(0);
  expect(answerIn(first.stdout).report).toMatchObject({ status: "applied", run: "first" });

  fleet.deploy(await assetOf(ORDERS, KEY));
  const page = join(folder, "fleet.html");
  const words = ["--targets", "tenants.jsonl", "--waves", "globex,100%", "--html", page];
  const stopped = await command("start", ...words, "--markdown", join(folder, "fleet.md"));
  expect(stopped.exitCode).toBe(1);
  expect(stopped.stderr).toContain("globex: MIGRATION_FAILED: Migration 0001_key, statement 1");
  expect(stopped.stdout).toContain(
    "MIGRATION_FAILED (SQLSTATE 23505) 0001_key, statement 1  1 tenant",
  );
  expect(stopped.stdout).toContain("1 failed, 2 not begun.");
  expect(readFileSync(page, "utf8")).toContain("Stopped in wave globex");
  expect(readFileSync(join(folder, "fleet.md"), "utf8")).toContain("### Failures by cause");
  expect(await withKey()).toBe(0);

  const next = /Next: neon-migrate (.*)/.exec(stopped.stdout)?.[1]?.split(" ") ?? [];
  fleet.deploy(await assetOf(ORDERS, MENDED));
  const resumed = await neonMigrateIn(folder, next, fleet.environment);
  expect([resumed.exitCode, await withKey()]).toEqual([0, 3]);

  const status = answerIn((await command("status", "--json")).stdout);
  expect(status.report).toMatchObject({ status: "applied", counts: { total: 3, applied: 3 } });
  expect(status.ledger).toEqual({ tenants: 3, versions: { "0001_key": 3 } });
});

test("a fleet that is through wakes nobody; a run that somebody stops has its report made afterwards", async () => {
  const again = await command("resume", "--json");
  expect(answerIn(again.stdout).report).toMatchObject({
    ...{ status: "up-to-date", counts: { total: 3, skipped: 3 } },
  });

  const waves = "acme/600,100%";
  const started = await command(
    ...(["start", "--targets", "tenants.jsonl", "--waves", waves] as const),
    ...["--skip", "none", "--no-wait"],
  );
  expect([started.exitCode, started.stdout]).toEqual([3, expect.stringContaining("Under way")]);
  const [execution] = fleet.machine.executions();
  if (execution === undefined) throw new Error("There is no execution.");
  await waitFor(() =>
    fleet.machine.mapRuns(execution).some(({ status }) => status === "SUCCEEDED"),
  );
  const second = await command("start", "--targets", "tenants.jsonl");
  expect([second.exitCode, second.stderr]).toEqual([1, expect.stringContaining("FLEET_RUNNING")]);
  expect(second.stderr).toContain("under way since");
  expect(fleet.machine.executions()[0]).toBe(execution);
  fleet.machine.stop(execution);
  await execution.ended;

  const before = await command("status");
  expect([before.exitCode, before.stdout]).toEqual([
    1,
    expect.stringContaining("without a report"),
  ]);
  const report = await command("report", "--json");
  expect(report.exitCode).toBe(1);
  expect(answerIn(report.stdout).report).toMatchObject({
    ...{ status: "stopped", counts: { total: 3, upToDate: 1, failed: 0, unknown: 0, pending: 2 } },
    waves: [
      { name: "acme", upToDate: 1, pending: 0 },
      { name: "100 %", unknown: 0, pending: 2 },
    ],
  });
});

test("what cannot be done is said with a code, and starts nothing", async () => {
  const before = fleet.machine.executions().length;
  const unknown = await neonMigrateIn(
    folder,
    ["fleet", "status", "--machine", `${fleet.machine.stateMachineArn}-other`],
    fleet.environment,
  );
  const name = "a name that was there".repeat(8);
  const refused = await command("start", "--targets", "tenants.jsonl", "--run", name, "--json");
  expect(JSON.parse(refused.stdout).error).toMatchObject({
    ...{ code: "FLEET_INVALID", message: expect.stringContaining("Nothing was started.") },
  });
  const missing = await command("start", "--targets", "nobody.jsonl", "--json");

  expect([unknown.exitCode, unknown.stderr]).toEqual([
    ...[1, expect.stringContaining("FLEET_NOT_FOUND")],
  ]);
  expect(JSON.parse(missing.stdout).error).toMatchObject({
    ...{ code: "FLEET_INVALID", message: expect.stringContaining("Nothing was started.") },
  });
  expect([fleet.machine.executions().length, existsSync(join(folder, "asset-1"))]).toEqual([
    before,
    true,
  ]);
});
