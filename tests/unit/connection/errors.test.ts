import { describe, expect, test } from "vitest";
import { connectError, refusesPipelinedLogin } from "../../../lib/connection/errors.ts";

/** What the driver makes of an ErrorResponse. */
function serverError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code, severity: "FATAL" });
}

describe("connectError", () => {
  test.each([
    ["28P01", 'password authentication failed for user "app"', "LOGIN_FAILED", false],
    ["XX000", "password authentication failed for user 'app'", "LOGIN_FAILED", false],
    ["3D000", 'database "x" does not exist', "DATABASE_NOT_FOUND", false],
    ["XX000", 'database "x" does not exist', "DATABASE_NOT_FOUND", false],
    ["57P03", "the database system is starting up", "ENDPOINT_UNAVAILABLE", true],
    ["53300", "too many clients already", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "Couldn't connect to compute node", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "Control plane request failed", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "Control plane request failed: endpoint is disabled", "ENDPOINT_UNAVAILABLE", false],
    [
      "XX000",
      "Control plane request failed: endpoint cannot be found",
      "ENDPOINT_UNAVAILABLE",
      false,
    ],
    [
      "XX000",
      "Control plane request failed: endpoint is temporarily unavailable. Check your quotas",
      "ENDPOINT_UNAVAILABLE",
      true,
    ],
    ["XX000", "This IP address 1.2.3.4 is not allowed to connect", "ENDPOINT_UNAVAILABLE", false],
    ["XX000", "You have reached the limit of active endpoints", "ENDPOINT_UNAVAILABLE", false],
    [
      "XX000",
      "Your project has exceeded the compute time quota. Upgrade your plan",
      "ENDPOINT_UNAVAILABLE",
      false,
    ],
    ["XX000", "Too many connections attempts", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "Failed to acquire permit to connect to the database", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "Authentication timed out", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "Internal error", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "the database system is shutting down", "ENDPOINT_UNAVAILABLE", true],
    ["XX000", "remaining connection slots are reserved", "ENDPOINT_UNAVAILABLE", true],
    ["08006", "connection failure", "ENDPOINT_UNAVAILABLE", true],
    ["42501", 'permission denied for database "x"', "LOGIN_FAILED", false],
    ["42601", 'invalid command-line argument for server process: "x"', "LOGIN_FAILED", false],
    ["XX000", "Endpoint ID is not specified", "UNREACHABLE", false],
    ["XX000", "unsupported startup parameter: x", "UNREACHABLE", false],
    ["0A000", "unsupported XML feature", "ENDPOINT_UNAVAILABLE", false],
  ])("reads %s %j as %s, retryable: %s", (sqlstate, message, code, retryable) => {
    const error = connectError(serverError(sqlstate, message), "db.example");

    expect(error.code).toBe(code);
    expect(error.facts.retryable).toBe(retryable);
    expect(error.message).toContain(message);
    expect(error.facts.sqlstate).toBe(sqlstate);
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
