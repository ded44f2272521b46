import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { sampleDeadline } from "../../../lib/fleet/ask-sample.ts";
import { checkTargets } from "../../../lib/fleet/check-targets.ts";
import type { StepDependencies } from "../../../lib/fleet/fleet-dependencies.ts";
import { prepare } from "../../../lib/fleet/prepare.ts";
import { silentLog } from "../../../lib/log.ts";
import { readAllowed } from "../../../lib/target/allowed.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import { memoryStore } from "../../setup/fleet.ts";

const HASH = "5".repeat(64);
const TARGETS = Array.from({ length: 40 }, (_, index) => ({
  ...{ id: `t${index}`, parameter: `/t/${index}` },
}));

/** A fleet of which all tenants are up to date by the ledger. */
function knownFleet() {
  process.env.TARGETS = "parameter:/t/*";
  onTestFinished(() => {
    delete process.env.TARGETS;
  });
  const listed = TARGETS.map((value) => ({ value, where: "list" }));
  const lines = checkTargets(listed, readAllowed()).map(({ reference: { id }, fingerprint }) => {
    const moment = { at: "2026-11-01T00:00:00.000Z", listed: "2026-11-01T00:00:00.000Z" };
    return JSON.stringify({
      id,
      hash: HASH,
      latest: null,
      ...moment,
      source: "given",
      fingerprint,
    });
  });
  return memoryStore({ "ledger.jsonl": lines.join("\n") });
}

/** Starts a server that takes every connection, and says nothing. @returns its host and port */
async function startMute(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" ? `127.0.0.1:${address?.port}` : "";
}

function dependencies(store: StepDependencies["store"], more: Partial<StepDependencies>) {
  return {
    bundle: { hash: HASH, migrations: [], warnings: [], findings: [] },
    ...{ requestId: "r", log: silentLog, hide: () => undefined, store },
    ...more,
  } as unknown as StepDependencies;
}

test("databases that do not answer the sample are due, and leave time for the plan", async () => {
  const store = knownFleet();
  const relay = await startMute();
  const target: Target = {
    ...{ url: "postgres://app:secret-word@db.example.test/app", relay, warnings: [] },
    ...{ ledger: DEFAULT_LEDGER, connectTimeoutMs: 60_000 },
  };
  const deadline = Date.now() + 2_000;

  const plan = await prepare(
    "run-1",
    { targets: { inline: TARGETS }, sample: 1 },
    dependencies(store, { deadline, resolve: () => Promise.resolve(target) }),
  );

  expect(plan.counts).toEqual({ total: 40, skipped: 0, due: 40 });
  expect(store.text("runs/run-1/prepared.json")).toContain('"source":"given"');
  expect(sampleDeadline(1_000, 11_000)).toBe(7_000);
});

test("a ledger that says up to date, and a sample of nobody: everybody is left out, and no database is asked", async () => {
  const resolve = () => Promise.reject(new Error("Nothing is to be resolved."));

  const plan = await prepare(
    "run-1",
    { targets: { inline: TARGETS }, sample: 0 },
    dependencies(knownFleet(), { deadline: Date.now() + 60_000, resolve }),
  );

  expect(plan.counts).toEqual({ total: 40, skipped: 40, due: 0 });
});
