import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { connect } from "../../../lib/connection/connect.ts";
import type { Target } from "../../../lib/target/target.ts";
import { REFUSALS } from "../../../local/relay/refusals.ts";
import { type Relay, type RelayOptions, startRelay } from "../../../local/relay/relay.ts";
import { stopClock, stopDate } from "../../setup/clock.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { targetOf } from "../../setup/run.ts";
import { waitFor } from "../../setup/wait-for.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  return () => database.close();
});

/** Longer than any test takes: an end that comes only where a test says so. */
const LONG_MS = 600_000;
/** How long the pause behind the first attempt is at the most. */
const FIRST_PAUSE_MS = 200;
/** Below what systems give to those who ask for any port, so that nobody takes it while it is free. */
const FIRST_PORT = 20_000;
const LAST_PORT = 30_000;

/** An attempt to connect that can be looked at while it goes on. */
interface Connecting {
  /** The codes of the attempts that failed and were followed by another one. */
  readonly retries: readonly unknown[];
  /** The code that it ended with. */
  readonly ended: Promise<unknown>;
}

/** How a test connects. */
interface StartOptions {
  readonly within?: number;
  /** Told of each attempt that is followed by another one, before the pause between them. */
  readonly onRetry?: () => void;
}

/** Begins to connect. Whoever is not let in by the end of the test gives up then. */
function start(target: Target, { within = LONG_MS, onRetry }: StartOptions = {}): Connecting {
  const retries: unknown[] = [];
  let over = false;
  onTestFinished(() => {
    over = true;
  });
  const ended = connect(target, {
    requestId: "test",
    deadline: Date.now() + within,
    log: (event, facts) => {
      if (over) throw new Error("The test is over.");
      if (event !== "connect.retry") return;
      retries.push(facts?.code);
      onRetry?.();
    },
    opening: {},
  });
  const close = async (): Promise<unknown> => {
    const connection = await ended;
    await connection.close();
    return "connected";
  };
  return { retries, ended: close().catch((thrown) => Reflect.get(Object(thrown), "code")) };
}

async function neonRelay(options: Omit<RelayOptions, "target"> = {}): Promise<Relay> {
  return await database.startRelay({ mode: "neon", ...options });
}

/** A relay whose port stays free when it is stopped. */
async function relayOnOwnPort(): Promise<Relay> {
  for (let port = FIRST_PORT + (process.pid % 1_000); port < LAST_PORT; port += 1) {
    const relay = await neonRelay({ port }).catch(() => null);
    if (relay !== null) return relay;
  }
  throw new Error("No port is free.");
}

const to = (relay: Relay, changes: Partial<Target> = {}) =>
  targetOf(database.url, relay.address, changes);

describe("what Neon refuses a login with", () => {
  /** So many attempts fail before one would be let in. More than are made for what may not pass. */
  const FAILING = 3;

  test("is waited for where it passes, and for three attempts where nobody knows", async () => {
    const all = REFUSALS.flatMap((refusal) =>
      ["XX000", ...(refusal.codes ?? [])].map((code) => ({ ...refusal, code })),
    ).filter(({ passes }) => passes !== "when another compute sleeps");

    const seen = all.map(async ({ text, code }) => {
      const relay = await neonRelay();
      relay.failLogins({ text, code });
      let failed = 0;
      const onRetry = () => {
        failed += 1;
        if (failed === FAILING) relay.failLogins(null);
      };
      const { ended } = start(to(relay), { onRetry });
      return [code, text, (await ended) === "connected" ? "passes" : failed + 1];
    });

    const expected = {
      yes: "passes",
      unclear: FAILING,
      no: 1,
      "when another compute sleeps": null,
    };
    expect(await Promise.all(seen)).toEqual(
      all.map(({ code, text, passes }) => [code, text, expected[passes]]),
    );
  });

  test("is waited for with long pauses where another compute has to sleep first", async () => {
    const slow = REFUSALS.filter(({ passes }) => passes === "when another compute sleeps");
    const clock = stopClock();
    const all = await Promise.all(
      slow.map(async (words) => {
        const relay = await neonRelay();
        relay.failLogins(words);
        return { relay, connecting: start(to(relay)) };
      }),
    );

    await clock.until(() => all.every(({ connecting }) => connecting.retries.length === 1));
    await clock.advance(4_999);
    for (const { relay } of all) relay.failLogins(null);
    expect(all.map(({ relay }) => relay.stats().connections)).toEqual(slow.map(() => 1));
    await clock.advance(1);

    const ended = await Promise.all(all.map(({ connecting }) => connecting.ended));
    expect(ended).toEqual(slow.map(() => "connected"));
  });
});

describe("what passes is waited for, before the first statement", () => {
  test("a proxy that answers 503, a way that breaks in the login, and a host that is not there yet", async () => {
    const refusing = await neonRelay();
    refusing.refuse(503);
    const breaking = await neonRelay();
    for (const bytes of [1, 50]) breaking.cutAfterBytes({ direction: "toServer", bytes });
    breaking.cutAfterBytes({ direction: "toClient", bytes: 20 });
    const missing = await relayOnOwnPort();
    await missing.stop();

    const [refused, broken, missed] = [refusing, breaking, missing].map((relay) =>
      start(to(relay)),
    );
    await waitFor(() => (refused?.retries.length ?? 0) > 0 && (missed?.retries.length ?? 0) > 0);
    refusing.refuse(null);
    const { hostname, port } = new URL(database.url);
    const late = await startRelay({
      target: { host: hostname, port: Number(port) },
      port: missing.port,
      mode: "neon",
    });
    onTestFinished(() => late.stop());

    const ended = [await refused?.ended, await broken?.ended, await missed?.ended];
    expect(ended).toEqual(["connected", "connected", "connected"]);
    expect(broken?.retries).toHaveLength(3);
  });

  test.each([408, 429, 500])("a proxy that answers %i", async (status) => {
    const relay = await neonRelay();
    relay.refuse(status);

    const { retries, ended } = start(to(relay));
    await waitFor(() => retries.length > 0);
    relay.refuse(null);

    expect(await ended).toBe("connected");
  });

  test("a compute that takes its time to wake", async () => {
    const relay = await neonRelay({ wakeUpMs: 300 });

    expect(await start(to(relay)).ended).toBe("connected");
    expect(relay.stats().connections).toBe(1);
  });
});

describe("what does not pass is not tried again", () => {
  const wrongPassword = (url: string) => url.replace(/:[^:@/]*@/, ":wrong@");
  const elsewhere = (url: string) => url.replace(/\/[^/]*$/, "/nowhere");

  test.each([
    ["a wrong password", "LOGIN_FAILED", wrongPassword],
    ["a database that does not exist", "DATABASE_NOT_FOUND", elsewhere],
  ] as const)(
    "%s (%s), in PostgreSQL's words and in those of Neon's proxy",
    async (_what, code, change) => {
      const relays = [await database.startRelay(), await neonRelay()];

      const all = relays.map((relay) => start(targetOf(change(database.url), relay.address)));

      expect(await Promise.all(all.map(({ ended }) => ended))).toEqual([code, code]);
      expect(all.flatMap(({ retries }) => retries)).toEqual([]);
    },
  );

  test("a right or a login that is missing, an endpoint that is disabled, a path that is not there", async () => {
    const [guest, barred] = [await database.createRole("guest"), await database.createRole("bar")];
    await database.sql(`revoke connect on database ${database.name} from public`);
    const [denying, disabled, lost] = [await neonRelay(), await neonRelay(), await neonRelay()];
    await database.sql(`alter role ${barred.name} nologin`);
    disabled.failLogins("Control plane request failed: endpoint is disabled");
    lost.refuse(404);

    const all = [
      start(targetOf(database.urlOf(guest), denying.address)),
      start(targetOf(database.urlOf(barred), denying.address)),
      start(to(disabled)),
      start(to(lost)),
    ];

    expect(await Promise.all(all.map(({ ended }) => ended))).toEqual([
      "LOGIN_FAILED",
      "LOGIN_FAILED",
      "ENDPOINT_UNAVAILABLE",
      "UNREACHABLE",
    ]);
    expect(all.flatMap(({ retries }) => retries)).toEqual([]);
  });
});

describe("the time to connect", () => {
  const refusing = async () => {
    const relay = await neonRelay();
    relay.failLogins("Couldn't connect to compute node");
    return relay;
  };

  test("is kept by something that never passes, whose cause is what is reported", async () => {
    const relay = await refusing();
    const pass = stopDate();
    const target = to(relay, { connectTimeoutMs: LONG_MS });

    const { retries, ended } = start(target, {
      within: 2 * LONG_MS,
      onRetry: () => pass(LONG_MS / 2),
    });

    expect(await ended).toBe("ENDPOINT_UNAVAILABLE");
    expect(retries).toHaveLength(2);
    expect(relay.stats().connections).toBe(2);
  });

  test("is reported with what was seen last, where the last attempt has no answer", async () => {
    const relay = await refusing();
    const clock = stopClock();
    let refused = false;
    const failing = connect(to(relay, { connectTimeoutMs: LONG_MS }), {
      ...{ requestId: "test", deadline: Date.now() + 2 * LONG_MS, opening: {} },
      log: () => {
        refused = true;
        relay.silence();
      },
    });
    const reported = expect(failing).rejects.toMatchObject({
      code: "CONNECT_TIMEOUT",
      message: expect.stringMatching(
        /within 600000 ms.*failed with: .*Couldn't connect to compute node/,
      ),
    });
    reported.catch(() => undefined);

    await waitFor(() => refused);
    await clock.advance(FIRST_PAUSE_MS);
    await waitFor(() => relay.stats().connections === 2);
    await clock.advance(LONG_MS - FIRST_PAUSE_MS);

    await reported;
  });

  test("is not begun where the run's own end has come", async () => {
    const { ended } = start(to(await neonRelay()), { within: 0 });

    expect(await ended).toBe("DEADLINE");
  });

  test.each([
    ["CONNECT_TIMEOUT", "the connect timeout", LONG_MS, 2 * LONG_MS],
    ["DEADLINE", "the run's own end", 2 * LONG_MS, LONG_MS],
  ])(
    "ends with %s at %s when a compute never wakes, or a relay never answers",
    async (code, _name, connectTimeoutMs, within) => {
      const sleeping = await neonRelay({ wakeUpMs: 2 * LONG_MS });
      const paused = await neonRelay();
      paused.pauseNewConnections();
      const silent = await neonRelay();
      silent.silence();
      const clock = stopClock();

      const all = [sleeping, paused, silent].map((relay) =>
        start(to(relay, { connectTimeoutMs }), { within }),
      );
      await waitFor(() => sleeping.stats().connections + silent.stats().connections === 2);
      const ended: unknown[] = [];
      for (const each of all) void each.ended.then((how) => ended.push(how));
      await clock.advance(LONG_MS - 1);
      // Who has given up is seen by then.
      await new Promise((resolve) => setImmediate(resolve));
      expect(ended).toEqual([]);
      await clock.advance(1);

      expect(await Promise.all(all.map(({ ended: end }) => end))).toEqual([code, code, code]);
    },
  );
});
