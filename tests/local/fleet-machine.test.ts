import { afterAll, describe, expect, test } from "vitest";
import { jumpingClock } from "../../local/step-functions/clock.ts";
import { LambdaRefusal } from "../../local/step-functions/invoke.ts";
import { applied, FLEET, failed, startFleet, tenants } from "../setup/fleet-machine.ts";
import { BUCKET, endMachines, eventsOf, FUNCTION, returns } from "../setup/state-machine.ts";
import { tries } from "../setup/tries.ts";

afterAll(endMachines);

/** Numbers between 0 and 1 that a seed decides. */
function randomOf(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const throttled = () => new LambdaRefusal("TooManyRequestsException", "Rate Exceeded.", 429);

describe("the machine of a fleet", () => {
  test("goes wave by wave, pauses between them, and reports", async () => {
    const clock = jumpingClock();
    const fleet = await startFleet({
      clock,
      request: { lockTimeoutMs: 5_000 },
      waves: [
        { ids: ["canary", "b"], maxConcurrency: 1, pauseSeconds: 300 },
        { ids: tenants(3), maxConcurrency: 1, pauseSeconds: 300 },
      ],
    });

    const execution = await fleet.run({ targets: {} });

    expect(execution.status).toBe("SUCCEEDED");
    expect(execution.output).toEqual({ status: "applied", counts: {}, next: "" });
    const run = execution.name;
    const plan = expect.objectContaining({ prefix: `runs/${run}` });
    const common = { expect: { hash: "abc" }, lockTimeoutMs: 5_000 };
    const target = (id: string) => ({ id, parameter: `/tenants/${id}` });
    expect(fleet.payloads).toEqual([
      { "neon-migrate.fleet": { step: "prepare", run, request: { targets: {} } } },
      { target: target("canary"), ...common, rehearsal: "first" },
      { target: target("b"), ...common },
      ...tenants(3).map((id) => ({ target: target(id), ...common })),
      { "neon-migrate.fleet": { step: "report", run, plan } },
    ]);
    const waits = execution.history.events.filter(({ type }) => type.startsWith("WaitState"));
    expect(waits).toHaveLength(2);
    const [entered, exited] = waits;
    expect((exited?.timestamp ?? 0) - (entered?.timestamp ?? 0)).toBeGreaterThanOrEqual(300_000);
  });

  test("writes the results of each wave into a folder of its own", async () => {
    const fleet = await startFleet({ waves: [{ ids: ["a"] }, { ids: ["b"] }] });

    const { name, mapRuns } = await fleet.run();

    const keys = fleet.store
      .list(BUCKET, { prefix: `runs/${name}/` })
      .objects.map(({ key }) => key);
    expect(keys).toEqual(
      [
        "wave-0.jsonl",
        `wave-0/${mapRuns[0]?.id}/SUCCEEDED_0.json`,
        `wave-0/${mapRuns[0]?.id}/manifest.json`,
        "wave-1.jsonl",
        `wave-1/${mapRuns[1]?.id}/SUCCEEDED_0.json`,
        `wave-1/${mapRuns[1]?.id}/manifest.json`,
      ].map((each) => `runs/${name}/${each}`),
    );
    const [record] = JSON.parse(fleet.store.get(BUCKET, keys[1] ?? "").body.toString());
    expect(JSON.parse(record.Output)).toEqual({
      ...{ id: "a", status: "applied", applied: 1, latest: "0001", ms: 12 },
      ...{ ahead: 0, rehearsal: null },
    });
  });

  test("reports at once where nobody is due, and begins no map", async () => {
    const fleet = await startFleet({ waves: [] });

    const execution = await fleet.run();

    expect(execution.status).toBe("SUCCEEDED");
    expect(eventsOf(execution)).not.toContain("Map");
  });

  test("calls nobody of the second wave when the first one went over its budget", async () => {
    const reports: unknown[] = [];
    const fleet = await startFleet({
      waves: [
        { ids: ["a", "bad", "b"], maxConcurrency: 1, pauseSeconds: 300 },
        { ids: tenants(5) },
      ],
      migrate: (id) => (id === "bad" ? failed("MIGRATION_FAILED") : applied(id)),
      report: (event) => {
        reports.push(event);
        return returns({
          status: "partial",
          counts: { failed: 1 },
          next: "neon-migrate fleet resume",
        });
      },
    });

    const execution = await fleet.run();

    expect(fleet.calls).toEqual(["a", "bad"]);
    expect(execution).toMatchObject({
      status: "FAILED",
      error: "FLEET_FAILED",
      cause:
        'States.ExceedToleratedFailureThreshold: {"failed":1}. Next: neon-migrate fleet resume',
    });
    expect(reports).toMatchObject([
      { step: "report", failed: { Error: "States.ExceedToleratedFailureThreshold" } },
    ]);
  });

  test.each([
    ["any", "FAILED", "FLEET_PARTIAL"],
    ["budget", "SUCCEEDED", undefined],
  ] as const)("with a partial fleet and failOn %s ends as %s", async (failOn, status, error) => {
    const fleet = await startFleet({
      failOn,
      waves: [{ ids: ["bad", "a"], toleratedCount: 1 }],
      migrate: (id) => (id === "bad" ? failed("MIGRATION_FAILED") : applied(id)),
      report: () => returns({ status: "partial", counts: {}, next: "" }),
    });

    const execution = await fleet.run();

    expect(execution).toMatchObject({ status, error });
    expect(fleet.calls).toEqual(["bad", "a"]);
  });

  test.each([
    ["MIGRATION_FAILED", 1],
    ["BUNDLE_MISMATCH", 1],
    ["TARGET_GONE", 1],
    ["LOCKED", 4],
    ["LOCK_TIMEOUT", 4],
    ["UNREACHABLE", 4],
    ["CONNECT_TIMEOUT", 4],
    ["ENDPOINT_UNAVAILABLE", 4],
    ["REHEARSAL_UNAVAILABLE", 4],
    ["REHEARSAL_STALE", 4],
    ["Sandbox.Timedout", 1],
    ["DEADLINE", 1],
  ])("tries a tenant with %s %i times, and counts it once", async (code, attempts) => {
    const fleet = await startFleet({
      waves: [{ ids: ["bad"], toleratedCount: 1 }],
      migrate: () => failed(code),
    });

    const execution = await fleet.run();

    expect(fleet.calls).toHaveLength(attempts);
    expect(execution.mapRuns[0]).toMatchObject({ status: "SUCCEEDED" });
    expect(execution.mapRuns[0]?.counts().failed).toBe(1);
    const [child] = execution.mapRuns[0]?.children ?? [];
    expect(child).toMatchObject({ error: code, cause: expect.stringContaining("a tenant's run") });
  });

  test.each([
    ["each", 3],
    ["all", 1],
  ])(
    "tries a tenant that is late with a transaction for %s %i times",
    async (transaction, times) => {
      const fleet = await startFleet({
        request: { transaction },
        waves: [{ ids: ["late"], toleratedCount: 1 }],
        migrate: () => failed("DEADLINE"),
      });

      const execution = await fleet.run();

      expect(fleet.calls).toHaveLength(times);
      const [child] = execution.mapRuns[0]?.children ?? [];
      expect(child).toMatchObject({
        error: "DEADLINE",
        cause: expect.stringContaining("DEADLINE"),
      });
    },
  );

  test.each([
    ["error", "FAILED", { error: "TARGET_GONE", cause: expect.stringContaining("TARGET_GONE") }],
    ["skip", "SUCCEEDED", { output: { id: "left", status: "gone" } }],
  ] as const)("with gone: %s a tenant that is gone ends as %s", async (gone, status, child) => {
    const fleet = await startFleet({
      gone,
      waves: [{ ids: ["left"] }, { ids: ["stays"] }],
      migrate: (id) => (id === "left" ? failed("TARGET_GONE") : applied(id)),
    });

    const execution = await fleet.run();

    expect(execution.status).toBe(status);
    expect(fleet.calls).toEqual(gone === "skip" ? ["left", "stays"] : ["left"]);
    expect(execution.mapRuns[0]?.children[0]).toMatchObject(child);
  });

  test("lets a tenant that is late come to its end in a later call", async () => {
    let calls = 0;
    const fleet = await startFleet({
      request: { transaction: "each" },
      waves: [{ ids: ["late"] }],
      migrate: (id) => {
        calls += 1;
        return calls < 3 ? failed("DEADLINE") : applied(id);
      },
    });

    expect((await fleet.run()).status).toBe("SUCCEEDED");
  });

  test("retries what Lambda throttles, and spends no budget on it", async () => {
    const refused = new Map<string, number>();
    const fleet = await startFleet({
      waves: [{ ids: tenants(20) }],
      migrate: (id) => {
        const before = refused.get(id) ?? 0;
        refused.set(id, before + 1);
        if (before < 12) throw throttled();
        return applied(id);
      },
    });

    const execution = await fleet.run();

    expect(execution.status).toBe("SUCCEEDED");
    expect(execution.mapRuns[0]?.counts()).toMatchObject({ succeeded: 20, failed: 0 });
    expect(fleet.calls).toHaveLength(20 * 13);
  });

  test("goes on where preparing or reporting failed, by a redrive", async () => {
    const mended = new Set<string>();
    const fleet = await startFleet({
      waves: [{ ids: ["a"] }],
      refusePlan: () => (mended.has("prepare") ? null : failed("FLEET_UNAVAILABLE")),
      report: () =>
        mended.has("report") ? returns({ status: "applied" }) : failed("FLEET_UNAVAILABLE"),
    });
    const execution = await fleet.run();

    for (const step of ["prepare", "report"]) {
      expect(execution).toMatchObject({ status: "FAILED", error: "FLEET_UNAVAILABLE" });
      mended.add(step);
      fleet.redrive(execution);
      await fleet.idle();
    }

    expect(execution).toMatchObject({ status: "SUCCEEDED", output: { status: "applied" } });
    expect(fleet.calls).toEqual(["a"]);
  });

  test("does not go on in a wave that went over its budget, by a redrive: it reports again, and calls nobody", async () => {
    const fleet = await startFleet({
      waves: [{ ids: ["bad"] }, { ids: ["a"] }],
      migrate: () => failed("MIGRATION_FAILED"),
      report: () => returns({ status: "stopped", counts: {}, next: "" }),
    });
    const execution = await fleet.run();

    fleet.redrive(execution);
    await fleet.idle();

    expect(execution).toMatchObject({ status: "FAILED", error: "FLEET_FAILED", redriveCount: 1 });
    expect(fleet.calls).toEqual(["bad"]);
  });

  test("calls the version that it was deployed with, also when a newer one comes meanwhile", async () => {
    const called: string[] = [];
    const newer = FUNCTION.replace(":7", ":8");
    const fleet = await startFleet({
      waves: [{ ids: ["a"] }, { ids: ["b"] }],
      migrate: (id, _, functionName) => {
        called.push(functionName);
        fleet.update(FLEET, { FunctionArn: newer, Bucket: BUCKET });
        return applied(id);
      },
    });

    for (const _ of [1, 2]) await fleet.run();

    expect(called).toEqual([FUNCTION, FUNCTION, newer, newer]);
  });
});

describe("the budget", () => {
  /** A fleet whose sizes, limits, failures and times are drawn. */
  async function drawn(seed: number) {
    const random = randomOf(seed);
    const draw = (most: number) => Math.floor(random() * most);
    const [maxConcurrency, toleratedCount, share] = [1 + draw(8), draw(5), random()];
    const fleet = await startFleet({
      random,
      overBudget: random() < 0.5 ? "go on" : "abort",
      waves: [
        { ids: tenants(5 + draw(20)), maxConcurrency, toleratedCount },
        { ids: ["next wave"] },
      ],
      migrate: async (id) => {
        if (random() < 0.1) throw throttled();
        for (let turn = draw(4); turn > 0; turn -= 1) await new Promise(setImmediate);
        return random() >= share || id === "next wave" ? applied(id) : failed("MIGRATION_FAILED");
      },
    });
    return { fleet, most: toleratedCount + maxConcurrency, toleratedCount };
  }

  test.each([0, 50, 100, 150])("bounds the failures, for the 50 seeds from %i", async (first) => {
    for (let seed = first; seed < first + 50; seed += 1) {
      const { fleet, most, toleratedCount } = await drawn(seed);

      const { status, error, mapRuns } = await fleet.run();

      const counts = mapRuns[0]?.counts();
      const { failed: failures = 0, total = 0, pending = 0 } = counts ?? {};
      const isOver = failures > toleratedCount;
      expect({ seed, counts, status, error }).toMatchObject({
        counts: { running: 0, resultsWritten: total - pending },
        status: isOver ? "FAILED" : "SUCCEEDED",
        error: isOver ? "FLEET_FAILED" : undefined,
      });
      expect(failures).toBeLessThanOrEqual(most);
      expect(fleet.calls.includes("next wave")).toBe(!isOver);
      await fleet.shutDown();
    }
  });
});

test("goes through thousands of tenants without keeping all that passed", async () => {
  const count = tries(1_100, 10_000);
  const fleet = await startFleet({ waves: [{ ids: tenants(count) }] });

  const execution = await fleet.run();

  expect(execution.status).toBe("SUCCEEDED");
  expect(execution.mapRuns[0]?.counts()).toMatchObject({ succeeded: count, resultsWritten: count });
  expect(execution.history.events.length).toBeLessThan(40);
  const kept = execution.mapRuns[0]?.children.filter((each) => each?.history.isForgotten === false);
  expect(kept).toHaveLength(1_000);
});
