import { describe, expect, onTestFinished, test, vi } from "vitest";
import { isDeliveredAgain } from "../../../lib/events/stale.ts";
import { LOCAL_FUNCTION_ARN } from "../../../local/aws/account.ts";
import { presign, type Signature } from "../../../local/cloudformation/presigned-url.ts";
import { requestOf } from "../../setup/call.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";

const KEY = { id: "AKIALOCAL", secret: "secret" };

function signed(signature: Signature, ageS: number): string {
  const signedAt = new Date(Date.now() - ageS * 1_000);
  return presign(KEY, signature, { host: "bucket", resource: "/answer", signedAt });
}

/** Whether an event is left to another delivery by a function that may run for 15 minutes. */
function isLeft(ResponseURL: unknown, ServiceTimeout: unknown, RequestId: string): boolean {
  const event = { RequestId, ResponseURL, ResourceProperties: { ServiceTimeout } };
  const getRemainingTimeInMillis = () => 899_000;
  return isDeliveredAgain(event, {
    ...{ awsRequestId: RequestId, invokedFunctionArn: "" },
    getRemainingTimeInMillis,
  });
}

test.each([
  ["SigV4", 0, "1920", true],
  ["SigV2", 0, "3600", true],
  ["SigV4", 0, undefined, false],
  ["SigV2", 0, undefined, false],
  ["SigV4", 5, "1920", true],
  ["SigV2", 5, "2940", true],
  ["SigV4", 61, "1920", false],
  ["SigV2", 61, "1920", false],
  ["SigV4", -600, "1920", false],
  ["SigV4", 0, "960", false],
  ["SigV4", 0, "soon", false],
] as const)("an event signed by %s %d s ago, waited for %s s: %s", (signature, age, wait, left) => {
  expect(isLeft(signed(signature, age), wait, `${signature} ${age} ${wait}`)).toBe(left);
});

test.each([
  ["has no URL", undefined],
  ["has another text for a URL", "..."],
  ["has a URL that does not say when it was signed", "https://bucket/answer?X-Amz-Date=today"],
  ["has a URL of no age", "https://bucket/answer?Expires="],
])("an event that %s is answered", (_what, url) => {
  expect(isLeft(url, "1920", String(url))).toBe(false);
});

test("an event is left to another delivery once", () => {
  const url = signed("SigV4", 0);

  expect([1, 2].map(() => isLeft(url, "1920", "the same"))).toEqual([true, false]);
});

describe("a request of CloudFormation that is delivered late", () => {
  /** Returns the time for the run of an event that was sent so long ago. */
  async function timeFor(ageS: number, properties: object, signature: Signature = "SigV4") {
    vi.stubEnv("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 10, 29) });
    onTestFinished(() => {
      vi.unstubAllEnvs();
      vi.useRealTimers();
    });
    const event = {
      ...{ RequestType: "Create", LogicalResourceId: "Run", ServiceToken: LOCAL_FUNCTION_ARN },
      ResponseURL: signed(signature, ageS),
      ResourceProperties: properties,
    };
    const request = await requestOf(event, lambdaContext());
    return request?.timeoutMs ?? null;
  }

  test.each([
    ["at once, it may take as long as the function", 0, { ServiceTimeout: "1920" }, null],
    ["before CloudFormation's time is short", 900, { ServiceTimeout: "1920" }, null],
    ["with a time of its own that ends sooner", 1_200, { ServiceTimeout: "1920", timeoutMs: 9 }, 9],
    ["without a ServiceTimeout", 3_000, {}, null],
    ["with a short ServiceTimeout", 0, { ServiceTimeout: "40" }, 30_000],
    ["later", 1_200, { ServiceTimeout: "1920" }, 660_000],
    ["later, with a long time", 1_200, { ServiceTimeout: 1_920, timeoutMs: 9e6 }, 660_000],
  ])("%s", async (_what, age, properties, expected) => {
    for (const signature of ["SigV2", "SigV4"] as const) {
      expect(await timeFor(age, properties, signature)).toBe(expected);
    }
  });

  test.each([1_870, 1_920, 7_000])("after %i s of 1920 is refused", async (age) => {
    await expect(timeFor(age, { ServiceTimeout: "1920" })).rejects.toMatchObject({
      code: "DEADLINE",
      message: expect.stringContaining("Nothing was run, because it could go on behind"),
    });
  });
});
