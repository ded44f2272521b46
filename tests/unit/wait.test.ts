import { once } from "node:events";
import { connect, createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { backoffMs, pause, within } from "../../lib/wait.ts";

const never = new Promise<never>(() => undefined);

/** Longer than any test takes. */
const LONG_MS = 600_000;

/** Lets the whole process stand still. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe("pause", () => {
  test("of no length or less is over at once", async () => {
    expect(await Promise.all([pause(0), pause(-1)])).toEqual([undefined, undefined]);
  });
});

describe("within", () => {
  test("gives what the promise gives, or throws what it throws, and calls nobody late", async () => {
    const calls: string[] = [];
    const onLate = () => calls.push("late");

    const given = await within(
      pause(1).then(() => "in time"),
      LONG_MS,
      onLate,
    );
    const thrown = await within(Promise.reject(new Error("no")), LONG_MS, onLate).catch(String);

    expect([given, thrown, calls]).toEqual(["in time", "Error: no", []]);
  });

  test("gives what is said of the late, or throws it", async () => {
    const given = await within(never, 1, () => "late");
    const thrown = await within(never, -1, () => {
      throw new Error("late");
    }).catch(String);

    expect([given, thrown]).toEqual(["late", "Error: late"]);
  });

  test("never calls late where there is no limit", async () => {
    const given = await within(
      pause(30).then(() => "in time"),
      Number.POSITIVE_INFINITY,
      () => "late",
    );

    expect(given).toBe("in time");
  });

  test("takes no notice of what becomes of the promise when it is late", async () => {
    let fail: (thrown: unknown) => void = () => undefined;
    const failing = new Promise<string>((_resolve, reject) => {
      fail = reject;
    });

    const given = await within(failing, 1, () => "late");
    fail(new Error("nobody waits for it"));
    await pause(1);

    expect(given).toBe("late");
  });

  test("reads what has arrived while the process stood still before it calls it late", async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connect(Object(server.address()).port, "127.0.0.1");
    const [accepted] = await once(server, "connection");
    onTestFinished(() => {
      client.destroy();
      server.close();
    });
    let calledLate = false;

    const answer = within(once(client, "data").then(String), 20, () => {
      calledLate = true;
      return "late";
    });
    accepted.write("arrived");
    standStill(100);

    expect(await answer).toBe("arrived");
    expect(calledLate).toBe(false);
  });
});

describe("backoffMs", () => {
  test.each([
    [1, 200],
    [2, 400],
    [3, 800],
    [6, 5_000],
    [60, 5_000],
  ])("of attempt %i is a random one of the upper half of %i ms", (attempt, fullMs) => {
    const pauses = Array.from({ length: 200 }, () => backoffMs(attempt));

    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(fullMs / 2);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(fullMs);
    expect(new Set(pauses).size).toBeGreaterThan(100);
  });
});
