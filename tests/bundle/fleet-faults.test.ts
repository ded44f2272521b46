import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { asRecord, asText } from "../../lib/json.ts";
import { pause } from "../../lib/wait.ts";
import { type LocalTenant, startFleet } from "../../local/fleet/fleet.ts";
import type { LocalLambda } from "../../local/lambda/lambda.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { startRelay } from "../../local/relay/relay.ts";
import { jumpingClock } from "../../local/step-functions/clock.ts";
import { LambdaRefusal } from "../../local/step-functions/invoke.ts";
import type { Invoke } from "../../local/step-functions/world.ts";
import { type AuthoredMigration, writeDrizzleFolder } from "../setup/deployment.ts";
import { tries } from "../setup/tries.ts";
import { waitFor } from "../setup/wait-for.ts";

/** No statement may run twice: each would be seen. */
const MIGRATIONS: readonly AuthoredMigration[] = [
  {
    tag: "0000_seen",
    when: 1_000,
    statements: ["create table seen (what text)", "insert into seen values ('first')"],
  },
  {
    tag: "0001_more",
    when: 2_000,
    statements: ["insert into seen values ('second')", "create index on seen (what)"],
  },
];
const STATE = `select (select string_agg(what, ',' order by what) from seen) as seen,
  (select count(*)::int from drizzle.__drizzle_migrations) as rows`;
const UNDISTURBED = { seen: "first,second", rows: MIGRATIONS.length };

const TENANTS = tries(12, 60);
const KILLED = 0.05;
const THROTTLED = 0.3;
/** A call takes a few dozen ms on a quiet machine. */
const KILLED_WITHIN_MS = 60;

/** A number between 0 and 1 that is the same for the same words. */
function draw(...words: readonly unknown[]): number {
  const digest = createHash("sha256").update(JSON.stringify(words)).digest();
  return digest.readUInt32BE() / 2 ** 32;
}

interface Faults {
  killed: number;
  throttled: number;
}

/** Throttles calls, and kills processes in the middle of one. */
function faulty(seed: number, faults: Faults) {
  const calls = new Map<string, number>();
  return (invoke: Invoke, start: () => LocalLambda): Invoke =>
    async (name, payload) => {
      const id = asText(asRecord(asRecord(payload).target).id);
      const number = (calls.get(id) ?? 0) + 1;
      calls.set(id, number);
      if (draw(seed, "throttle", id, number) < THROTTLED) {
        faults.throttled += 1;
        throw new LambdaRefusal("TooManyRequestsException", "Rate Exceeded.", 429);
      }
      // Every run has one at least, whatever the draw.
      const isFirst = id === "t1" && faults.killed === 0;
      if (id === "" || (!isFirst && draw(seed, "kill", id, number) >= KILLED)) {
        return await invoke(name, payload);
      }
      faults.killed += 1;
      const lambda = start();
      const answer = lambda.invoke(payload);
      await pause(draw(seed, "when", id, number) * KILLED_WITHIN_MS);
      await lambda.stop();
      return await answer;
    };
}

test.each(Array.from({ length: tries(1, 3) }, (_, at) => at + 1))(
  "a fleet that is throttled, killed and stopped comes to the state of one that is not, within two resumes (%i)",
  async (seed) => {
    const folder = mkdtempSync(join(tmpdir(), "fleet-faults-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const asset = join(folder, "asset");
    writeDrizzleFolder(join(folder, "drizzle"), MIGRATIONS);
    await writeAsset(await compileBundle(join(folder, "drizzle")), asset, inject("assetFolder"));
    const postgres = await startPostgres();
    onTestFinished(() => postgres.stop());
    const { host, port, admin } = postgres;
    const relay = await startRelay({ target: { host, port }, mode: "neon" });
    onTestFinished(() => relay.stop());
    const faults: Faults = { killed: 0, throttled: 0 };
    const fleet = await startFleet({
      ...{ postgres, relay: relay.address, handlerDirectory: asset, clock: jumpingClock() },
      between: faulty(seed, faults),
    });
    onTestFinished(() => fleet.stop());
    const tenants = await fleet.addTenants(Array.from({ length: TENANTS }, (_, at) => `t${at}`));
    const input = {
      targets: { inline: tenants.map(({ target }) => target) },
      waves: [{ percent: 25, pauseSeconds: 60 }, { percent: 100 }],
      ...{ maxConcurrency: 4, tolerated: { percent: 100 }, sample: 0 },
    };

    const stopped = fleet.machine.start(input);
    await waitFor(() => fleet.machine.mapRuns(stopped).some(({ status }) => status !== "RUNNING"));
    fleet.machine.stop(stopped);
    await stopped.ended;
    await fleet.machine.idle();
    const resumes: string[] = [];
    do {
      const resumed = fleet.machine.start(input);
      await resumed.ended;
      await fleet.machine.idle();
      resumes.push(resumed.status);
    } while (resumes.at(-1) !== "SUCCEEDED" && resumes.length < 2);

    expect(resumes.at(-1)).toBe("SUCCEEDED");
    expect(await Promise.all(tenants.map(stateOf))).toEqual(tenants.map(() => UNDISTURBED));
    expect(faults.killed).toBeGreaterThan(0);
    expect(faults.throttled).toBeGreaterThan(0);

    async function stateOf({ database }: LocalTenant) {
      const [state] = await admin.sql(STATE, [], database);
      return state;
    }
  },
);
