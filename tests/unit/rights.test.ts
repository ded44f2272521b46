import { describe, expect, test } from "vitest";
import { isDenied, StillDenied, withRights } from "../../lib/rights.ts";

/** AWS' error as its SDK makes it. */
function awsError(name: string, message = "", cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { name });
}

const KMS = awsError("AccessDeniedException", "Access to KMS is not allowed");

describe("a right is missing, and may be there in a moment, by", () => {
  test.each([
    ["AccessDeniedException", "User: x is not authorized to perform: ssm:GetParameter"],
    ["AccessDenied", ""],
    ["KMSAccessDeniedException", "Lambda was unable to decrypt the environment variables"],
    ["UnauthorizedOperation", "You are not authorized to perform this operation."],
    ["AuthorizationErrorException", "x is not authorized to perform: sns:Publish"],
    ["InternalServiceError", "User: x is not authorized to perform: kms:Decrypt on resource: y"],
    ["DecryptionFailure", "Access to KMS is not allowed"],
    ["InvalidKeyId", "… does not exist in this region, or you are not allowed to access."],
    ["UnrecognizedClientException", "The security token included in the request is invalid."],
    ["InvalidClientTokenId", "The security token included in the request is invalid"],
  ])("%s: %s", (name, message) => {
    expect(isDenied(awsError(name, message))).toBe(true);
  });

  test("an error that wraps such a one", () => {
    expect(isDenied(awsError("DecryptionFailure", "It failed.", KMS))).toBe(true);
  });
});

describe("no right is missing by", () => {
  test.each([
    ["ResourceNotFoundException", "Secrets Manager can't find the specified secret."],
    ["ParameterNotFound", ""],
    ["KMSInvalidStateException", "arn:aws:kms:… is pending deletion."],
    ["DisabledException", "arn:aws:kms:… is disabled."],
    ["InvalidKeyId", "The key is not found."],
    ["DecryptionFailure", "Secrets Manager can't decrypt the protected secret text."],
    ["ThrottlingException", "Rate exceeded"],
    ["ExpiredTokenException", "The security token included in the request is expired"],
    ["CredentialsProviderError", "Could not load credentials from any providers"],
    ["TimeoutError", "connect ETIMEDOUT"],
    ["InvalidJobStateException", ""],
  ])("%s: %s", async (name, message) => {
    const world = worldOf(() => awsError(name, message));

    expect(await world.outcome).toMatchObject({ name });
    expect(world).toMatchObject({ attempts: [0], lines: [] });
  });
});

/** Calls a service by a clock of its own, on which only pauses take time. @param answer the service, by the time */
function worldOf(answer: (now: number) => Error | string, until = 900_000) {
  let now = 0;
  const world = {
    attempts: [] as number[],
    lines: [] as unknown[],
    outcome: Promise.resolve<unknown>(null),
  };
  const call = () => {
    world.attempts.push(now);
    const given = answer(now);
    return given instanceof Error ? Promise.reject(given) : Promise.resolve(given);
  };
  const clock = {
    now: () => now,
    pause: (ms: number) => {
      now += ms;
      return Promise.resolve();
    },
  };
  const log = (event: string, fields = {}) => world.lines.push({ event, ...fields });
  world.outcome = withRights("x:Read on y", call, { until, log }, clock).catch(
    (thrown: unknown) => thrown,
  );
  return world;
}

const deniedUntil = (ms: number) => (now: number) => (now < ms ? KMS : "the value");

describe("a right that is denied", () => {
  test.each([100, 7_000, 12_000, 31_000, 59_000])(
    "is there after %i ms: the call succeeds, and the log has one line before that",
    async (ms) => {
      const world = worldOf(deniedUntil(ms));

      expect(await world.outcome).toBe("the value");
      expect(world.lines).toEqual([
        {
          event: "rights.denied",
          denied: "x:Read on y",
          reason: "AccessDeniedException: Access to KMS is not allowed",
          tryForMs: 60_000,
        },
        { event: "rights.granted", denied: "x:Read on y", afterMs: world.attempts.at(-1) },
      ]);
    },
  );

  test("is asked for after 1, 2, 4, 8 and 16 s, each shortened by a quarter at most", async () => {
    const world = worldOf(deniedUntil(45_000));
    await world.outcome;

    const pauses = world.attempts.slice(1).map((at, index) => at - (world.attempts[index] ?? 0));
    for (const [index, full] of [1_000, 2_000, 4_000, 8_000, 16_000, 16_000].entries()) {
      expect(pauses[index]).toBeGreaterThan(full * 0.75 - 1);
      expect(pauses[index]).toBeLessThanOrEqual(full);
    }
  });

  test("for good is given up after a minute, by AWS' own error", async () => {
    const world = worldOf(() => KMS);

    const thrown = await world.outcome;

    expect(thrown).toBeInstanceOf(StillDenied);
    expect(thrown).toMatchObject({ name: KMS.name, message: KMS.message, waitedMs: 60_000 });
    expect(world.attempts.at(-1)).toBe(60_000);
  });

  test.each([500, 3_000, 20_000])(
    "is asked for until there is no time for AWS' answer: %i ms",
    async (until) => {
      const world = worldOf(() => KMS, until);
      const last = until - Math.min(1_000, until / 2);

      expect(await world.outcome).toMatchObject({ waitedMs: last });
      expect(world.attempts.at(-1)).toBe(last);
    },
  );

  test.each(["AbortError", "TimeoutError"])(
    "is still AWS' own refusal where the last attempt ends by %s",
    async (name) => {
      const world = worldOf((now) => (now < 4_000 ? KMS : awsError(name)), 5_000);

      const thrown = await world.outcome;

      expect(thrown).toBeInstanceOf(StillDenied);
      expect(thrown).toMatchObject({ name: KMS.name, message: KMS.message, waitedMs: 4_000 });
    },
  );

  test("is no refusal where the first attempt, or one with time behind it, is cut off", async () => {
    const cutOff = awsError("TimeoutError");

    expect(await worldOf(() => cutOff, 0).outcome).toBe(cutOff);
    expect(await worldOf((now) => (now < 2_000 ? KMS : cutOff)).outcome).toBe(cutOff);
  });

  test("is asked for once where there is no time, and the log says nothing", async () => {
    const world = worldOf(() => KMS, 0);

    expect(await world.outcome).toMatchObject({ name: KMS.name, waitedMs: 0 });
    expect(world).toMatchObject({ attempts: [0], lines: [] });
  });

  test("ends in another error at once, when that comes", async () => {
    const gone = awsError("ResourceNotFoundException");
    const world = worldOf((now) => (now < 2_000 ? KMS : gone));

    expect(await world.outcome).toBe(gone);
  });
});
