import { describe, expect, test } from "vitest";
import { refusesPipelinedLogin } from "../../../lib/connection/errors.ts";
import { Attempts, connectError } from "../../../lib/connection/refusal.ts";
import { REFUSALS, type Text } from "../../../local/relay/refusals.ts";

/** What the driver makes of an ErrorResponse. */
function serverError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code, severity: "FATAL" });
}

/** So long that no pause is too long. */
const LEFT_MS = 1_000_000;

/** How often a login is tried that is refused with this each time, and the pauses between. */
function tries(error: ReturnType<typeof connectError>): { times: number; pauses: number[] } {
  const attempts = new Attempts();
  const pauses: number[] = [];
  for (let times = 1; times < 10; times += 1) {
    const pauseMs = attempts.pauseMs(error, LEFT_MS);
    if (pauseMs === null) return { times, pauses };
    pauses.push(pauseMs);
  }
  return { times: Number.POSITIVE_INFINITY, pauses };
}

const TIMES: Readonly<Record<Text["passes"], number>> = {
  ...{ yes: Number.POSITIVE_INFINITY, "when another compute sleeps": Number.POSITIVE_INFINITY },
  ...{ unclear: 3, no: 1 },
};

describe("connectError", () => {
  /** Codes that once came, or may come, with any text: the text decides, where it says what it is. */
  const ANY = ["XX000", "53000", "53300", "57P03", "08006", "NE001"];
  const passing = REFUSALS.filter(({ passes }) => passes === "yes");
  const others = REFUSALS.filter(({ passes }) => passes !== "yes");

  test.each(passing)("tries again behind $text", ({ text, codes = [] }) => {
    for (const sqlstate of ["XX000", "53000", "NE001", ...codes]) {
      const error = connectError(serverError(sqlstate, text), "db.example");
      expect([sqlstate, error.code, error.facts.retryable, tries(error).times]).toEqual([
        ...[sqlstate, "ENDPOINT_UNAVAILABLE", true],
        Number.POSITIVE_INFINITY,
      ]);
    }
  });

  test.each(others.filter(({ source }) => source !== "invented"))(
    "lets the text decide, whatever the code: $text",
    ({ text, passes, codes = [] }) => {
      const texts = [text, text.toUpperCase()];
      const seen = [...ANY, ...codes].flatMap((sqlstate) =>
        texts.map((words) => connectError(serverError(sqlstate, words), "db.example")),
      );

      expect(new Set(seen.map((error) => tries(error).times))).toEqual(new Set([TIMES[passes]]));
      expect(new Set(seen.map(({ code }) => code)).size).toBe(1);
      expect(seen[0]?.message).toContain(text.replace(/\.$/, ""));
      expect(seen[0]?.facts.sqlstate).toBe(ANY[0]);
    },
  );

  test.each([
    ["28P01", 'password authentication failed for user "app"', "LOGIN_FAILED", 1],
    ["28P01", "Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen", "LOGIN_FAILED", 1],
    ["28ZZZ", "a reason of that class that is new", "LOGIN_FAILED", 1],
    ["XX000", "password authentication failed for user 'endpoint is disabled'", "LOGIN_FAILED", 1],
    ["XX000", 'role "too many clients" is not permitted to log in', "LOGIN_FAILED", 1],
    ["XX000", 'database "starting up; try again later" does not exist', "DATABASE_NOT_FOUND", 1],
    ["3D000", 'database "quota" does not exist', "DATABASE_NOT_FOUND", 1],
    ["3D000", "Datenbank »x« existiert nicht", "DATABASE_NOT_FOUND", 1],
    ["57P03", 'the compute "quota" is starting up', "ENDPOINT_UNAVAILABLE", TIMES.yes],
    ["57P04", "terminating connection, which was of a kind", "ENDPOINT_UNAVAILABLE", TIMES.yes],
    [
      "57P05",
      "terminating connection due to idle-session timeout",
      "ENDPOINT_UNAVAILABLE",
      TIMES.yes,
    ],
    ["53200", "out of memory", "ENDPOINT_UNAVAILABLE", TIMES.yes],
    ["53300", "zu viele Verbindungen", "ENDPOINT_UNAVAILABLE", TIMES.yes],
    ["08006", "connection failure", "ENDPOINT_UNAVAILABLE", TIMES.yes],
    ["53000", "a limit of the plan that is new", "ENDPOINT_UNAVAILABLE", 3],
    ["XX000", "a text that is new", "ENDPOINT_UNAVAILABLE", 3],
    ["XX001", "invalid page in block 0 of relation base/5/1259", "ENDPOINT_UNAVAILABLE", 3],
    ["NE001", "", "ENDPOINT_UNAVAILABLE", 3],
    ["42501", 'permission denied for function "pg_backend_pid"', "LOGIN_FAILED", 1],
    ["42601", 'invalid command-line argument for server process: "x"', "LOGIN_FAILED", 1],
    ["XX000", "too many active projects, exceeded the quota", "ENDPOINT_UNAVAILABLE", 1],
    [
      "XX000",
      "exceeded the rate limit of your plan's quota: upgrade your plan",
      "ENDPOINT_UNAVAILABLE",
      1,
    ],
    ["XX000", "unexpected EOF", "ENDPOINT_UNAVAILABLE", TIMES.yes],
    ["XX000", "the compute restarts", "ENDPOINT_UNAVAILABLE", TIMES.yes],
    [
      "28000",
      "The request could not be authorized due to an internal error",
      "ENDPOINT_UNAVAILABLE",
      TIMES.yes,
    ],
    ["22023", 'invalid value for parameter "x": "quota exceeded"', "LOGIN_FAILED", 1],
    ["P0001", "no logins at night", "LOGIN_FAILED", 1],
    ["0A000", "unsupported XML feature", "ENDPOINT_UNAVAILABLE", 1],
  ])("reads %s %j as %s, worth %s attempts", (sqlstate, message, code, times) => {
    const error = connectError(serverError(sqlstate, message), "db.example");

    expect([error.code, tries(error).times]).toEqual([code, times]);
    expect(error.facts.retryable).toBe(times === TIMES.yes);
    expect(error.message).toContain(message);
    expect(error.facts.sqlstate).toBe(sqlstate);
  });

  test("waits from 5 up to 30 s for another compute to sleep, and keeps room for a last attempt", () => {
    const text = "You have exceeded the limit of concurrently active endpoints.";
    const error = connectError(serverError("XX000", text), "db.example");

    expect(tries(error).pauses.slice(0, 5)).toEqual([5_000, 10_000, 20_000, 30_000, 30_000]);
    const attempts = new Attempts();
    expect([30_000, 25_000, 15_000, 2_000].map((left) => attempts.pauseMs(error, left))).toEqual([
      ...[5_000, 10_000, 13_000, null],
    ]);
  });

  test("gives what is not known its three attempts also behind others", () => {
    const attempts = new Attempts();
    const [waking, unknown] = ["the database system is starting up", "new"].map((text) =>
      connectError(serverError("XX000", text), "db.example"),
    );
    const all = [waking, waking, waking, unknown, waking, unknown, unknown];

    const pauses = all.map((error) => error && attempts.pauseMs(error, LEFT_MS));

    expect(pauses.map((pauseMs) => pauseMs === null)).toEqual([...Array(6).fill(false), true]);
  });

  test("finds the reason inside a WebSocket's ErrorEvent, which is no Error", () => {
    const event = {
      type: "error",
      message: "",
      error: new Error("connect ECONNREFUSED 1.2.3.4:443"),
    };

    const error = connectError(event, "db.example");

    expect(error.code).toBe("UNREACHABLE");
    expect(error.message).toContain("ECONNREFUSED");
    expect(error.facts.retryable).toBe(true);
  });

  test.for([
    ["getaddrinfo ENOTFOUND db.example", true],
    ["connect ECONNREFUSED 1.2.3.4:443", true],
    ["getaddrinfo EAI_AGAIN db.example", false],
    ["connect ETIMEDOUT 1.2.3.4:443", false],
    ["Unexpected server response: 503", false],
  ] as const)("gives up a host that is not there where somebody waits: %s", ([text, isGone]) => {
    const error = connectError(new Error(text), "db.example");

    expect(new Attempts(0).pauseMs(error, LEFT_MS) === null).toBe(isGone);
    expect(new Attempts(LEFT_MS).pauseMs(error, LEFT_MS)).not.toBeNull();
    expect(new Attempts().pauseMs(error, LEFT_MS)).not.toBeNull();
  });

  test.for([
    ["db.example", false, true],
    ["rds.amazonaws.com", false, true],
    ["db.example", true, false],
    ["ep-x.eu-central-1.aws.neon.tech", false, false],
    ["ep-x.vpce.eu-central-1.aws.neon.tech", false, false],
  ] as const)(
    "names --relay for %s where no relay stands between: %s",
    ([host, relayed, named]) => {
      const { message } = connectError(new Error(`getaddrinfo ENOTFOUND ${host}`), host, relayed);

      expect(message.includes("--relay")).toBe(named);
      expect(message.includes("port 443")).toBe(named);
    },
  );

  test("takes the words of a relay for those of the network", () => {
    const error = connectError(serverError("08001", "connect ECONNREFUSED 127.0.0.1:1"), "h");

    expect(error).toMatchObject({ code: "UNREACHABLE", facts: { retryable: true } });
    expect(error.message).toMatch(
      /^h could not be reached: .*127\.0\.0\.1:1\. Check host and port/,
    );
  });

  test("does not try again after a 4xx answer to the upgrade, but after a 5xx", () => {
    const verdicts = ["404", "503"].map(
      (status) =>
        connectError(new Error(`Unexpected server response: ${status}`), "h").facts.retryable,
    );

    expect(verdicts).toEqual([false, true]);
  });

  test.each([["a string"], [null], [undefined], [42]])(
    "makes a proper error of a thrown %j",
    (thrown) => {
      expect(connectError(thrown, "db.example")).toMatchObject({ code: "UNREACHABLE" });
    },
  );
});

describe("refusesPipelinedLogin", () => {
  test("recognises a server that wants to be asked for the password first", () => {
    expect(refusesPipelinedLogin(serverError("08P01", "invalid frontend message type 112"))).toBe(
      true,
    );
    expect(refusesPipelinedLogin(serverError("28P01", "no"))).toBe(false);
  });
});
