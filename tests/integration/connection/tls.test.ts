import { neonConfig } from "@neondatabase/serverless";
import { afterEach, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { Target } from "../../../lib/target/target.ts";
import { untilUnlocked } from "../../setup/advisory-locks.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { startTlsFront, type TlsFront, type TlsFrontOptions } from "../../setup/tls-front.ts";

const bundle = makeBundle(makeMigration("0000_first", 1_000, "create table notes (id int)"));

let database: TestDatabase;
const fronts: TlsFront[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await run(targetOf(database.url, (await database.startRelay()).address), bundle);
  // Who it is on the other side is of no interest here, and costs no round trip.
  vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  // Node warns of that, in the middle of the tests' progress.
  vi.spyOn(process, "emitWarning").mockReturnValue();
  return () => database.close();
});

afterEach(async () => {
  await Promise.all(fronts.splice(0).map((front) => front.stop()));
});

/** A target as in production, but for the port: the driver has no setting for it other than this one. */
async function behindTls(
  mode: "plain" | "neon",
  options: Pick<TlsFrontOptions, "deafAfter">,
): Promise<{ readonly target: Target; readonly front: TlsFront }> {
  const relay = await database.startRelay({ mode });
  const front = await startTlsFront({ ...options, relayPort: relay.port });
  fronts.push(front);
  neonConfig.wsProxy = (host) => `${host}:${front.port}/v2`;
  return { target: { ...targetOf(database.url, ""), relay: null }, front };
}

test.each(["plain", "neon"] as const)(
  "with nothing to do a run costs four round trips: TCP, TLS, the upgrade, and one for all the rest (%s)",
  async (mode) => {
    const { target, front } = await behindTls(mode, {});
    await untilUnlocked(database);

    const report = await run(target, bundle);

    expect(report).toMatchObject({ status: "up-to-date", roundTrips: 2 });
    // TCP's own shows no bytes. Behind the third answer comes the goodbye, which nobody waits for.
    expect(front.turns.replace(/cs?$/, "")).toBe("cscscs");
  },
);

test("a peer that never answers the goodbye is not waited for", async () => {
  const { target, front } = await behindTls("plain", { deafAfter: 3 });
  // Whoever waits for the peer, or for a time to run out, waits for ever.
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  onTestFinished(() => void vi.useRealTimers());

  // Without the lock, which the server keeps until it notices.
  const report = await run(target, bundle, { action: "plan" });

  expect(report.status).toBe("up-to-date");
  expect(front.turns).toMatch(/^cscscsc?$/);
});

function answersIn(turns: string): number {
  return turns.replaceAll("c", "").length;
}

test("a second call goes on with the TLS session of the first, in as many round trips and fewer bytes", async () => {
  const { target, front } = await behindTls("neon", {});
  await untilUnlocked(database);

  await run(target, bundle);
  await untilUnlocked(database);
  const [firstBytes, firstTurns] = [front.bytesToClient, front.turns];
  const report = await run(target, bundle);

  expect(report).toMatchObject({ status: "up-to-date", roundTrips: 2 });
  expect(front.resumed).toEqual([false, true]);
  expect(front.bytesToClient - firstBytes).toBeLessThan(firstBytes);
  expect(answersIn(front.turns.slice(firstTurns.length))).toBeLessThanOrEqual(
    answersIn(firstTurns),
  );
});

test("a server that has forgotten its TLS sessions is called as for the first time", async () => {
  const { target, front } = await behindTls("neon", {});
  await untilUnlocked(database);
  await run(target, bundle);
  await untilUnlocked(database);

  front.forget();
  const report = await run(target, bundle);
  await untilUnlocked(database);
  await run(target, bundle);

  expect(report).toMatchObject({ status: "up-to-date", roundTrips: 2 });
  expect(front.resumed).toEqual([false, false, true]);
});
