import { beforeAll, describe, expect, test } from "vitest";
import type { Target } from "../../lib/config.ts";
import { connect } from "../../lib/connect.ts";
import { type Relay, type RelayOptions, startRelay } from "../../local/relay.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { targetOf } from "../setup/run.ts";
import { waitFor } from "../setup/wait-for.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  return () => database.close();
});

/** An attempt to connect that can be looked at while it goes on. */
interface Connecting {
  /** The codes of the attempts that failed and were followed by another one, with when that was. */
  readonly retries: readonly { readonly code: unknown; readonly at: number }[];
  /** The code that it ended with. */
  readonly ended: Promise<unknown>;
}

function start(target: Target, { within = 20_000 } = {}): Connecting {
  const retries: { code: unknown; at: number }[] = [];
  const ended = connect(target, {
    requestId: "test",
    deadline: Date.now() + within,
    log: (event, facts) => {
      if (event === "connect.retry") retries.push({ code: facts?.code, at: Date.now() });
    },
    opening: [],
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

const to = (relay: Relay, changes: Partial<Target> = {}) =>
  targetOf(database.url, relay.address, changes);

describe("what passes is waited for, before the first statement", () => {
  test.each([
    ["Couldn't connect to compute node", "ENDPOINT_UNAVAILABLE"],
    ["Too many connections attempts", "ENDPOINT_UNAVAILABLE"],
  ])("a login that fails with %j", async (message, code) => {
    const relay = await neonRelay();
    relay.failLogins(message);

    const { retries, ended } = start(to(relay));
    await waitFor(() => retries.length === 2);
    relay.failLogins(null);

    expect(await ended).toBe("connected");
    expect(new Set(retries.map((retry) => retry.code))).toEqual(new Set([code]));
  });

  test("a proxy that answers 503, a way that breaks in the login, and a host that is not there yet", async () => {
    const refusing = await neonRelay();
    refusing.refuse(503);
    const breaking = await neonRelay();
    for (const bytes of [1, 50]) breaking.cutAfterBytes({ direction: "toServer", bytes });
    breaking.cutAfterBytes({ direction: "toClient", bytes: 20 });
    const missing = await neonRelay();
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

    const ended = [await refused?.ended, await broken?.ended, await missed?.ended];
    await late.stop();
    expect(ended).toEqual(["connected", "connected", "connected"]);
    expect(broken?.retries).toHaveLength(3);
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

  test("a right that is missing, an endpoint that is disabled, a path that is not there", async () => {
    const guest = await database.createRole("guest");
    await database.sql(`revoke connect on database ${database.name} from public`);
    const [denying, disabled, lost] = [await neonRelay(), await neonRelay(), await neonRelay()];
    disabled.failLogins("Control plane request failed: endpoint is disabled");
    lost.refuse(404);

    const all = [
      start(targetOf(database.urlOf(guest), denying.address)),
      start(to(disabled)),
      start(to(lost)),
    ];

    expect(await Promise.all(all.map(({ ended }) => ended))).toEqual([
      "LOGIN_FAILED",
      "ENDPOINT_UNAVAILABLE",
      "UNREACHABLE",
    ]);
    expect(all.flatMap(({ retries }) => retries)).toEqual([]);
  });

  test("a quota, which looks like maintenance, is tried three times", async () => {
    const relay = await neonRelay();
    relay.failLogins(
      "Control plane request failed: endpoint is temporarily unavailable. Check your quotas",
    );

    expect(await start(to(relay)).ended).toBe("ENDPOINT_UNAVAILABLE");
    expect(relay.stats().connections).toBe(3);
  });
});

describe("the time to connect", () => {
  test("is kept by something that never passes, whose cause is what is reported", async () => {
    const relay = await neonRelay();
    relay.failLogins("Couldn't connect to compute node");
    const started = Date.now();

    const { retries, ended } = start(to(relay, { connectTimeoutMs: 900 }));

    expect(await ended).toBe("ENDPOINT_UNAVAILABLE");
    expect(Date.now() - started).toBeLessThan(2_000);
    expect(retries.length).toBeGreaterThan(1);
  });

  test("is reported with what was seen last, where the last attempt has no answer", async () => {
    const relay = await neonRelay();
    relay.failLogins("Couldn't connect to compute node");
    const target = to(relay, { connectTimeoutMs: 900 });
    const failing = connect(target, {
      ...{ requestId: "test", deadline: Date.now() + 20_000, opening: [] },
      log: () => relay.silence(),
    });

    await expect(failing).rejects.toMatchObject({
      code: "CONNECT_TIMEOUT",
      message: /within 9\d\d ms.*failed with: .*Couldn't connect to compute node/,
    });
    relay.silence(false);
  });

  test("is not begun where the run's own end has come", async () => {
    const { ended } = start(to(await neonRelay()), { within: 0 });

    expect(await ended).toBe("DEADLINE");
  });

  test.each([
    ["CONNECT_TIMEOUT", "the connect timeout", 400, 20_000],
    ["DEADLINE", "the run's own end", 20_000, 400],
  ])(
    "ends with %s at %s when a compute never wakes, or a relay never answers",
    async (code, _name, connectTimeoutMs, within) => {
      const sleeping = await neonRelay({ wakeUpMs: 60_000 });
      const paused = await neonRelay();
      const open = paused.pauseNewConnections();
      const silent = await neonRelay();
      silent.silence();
      const started = Date.now();

      const all = [sleeping, paused, silent].map((relay) =>
        start(to(relay, { connectTimeoutMs }), { within }),
      );

      expect(await Promise.all(all.map(({ ended }) => ended))).toEqual([code, code, code]);
      expect(Date.now() - started).toBeLessThan(2_000);
      open();
    },
  );
});
