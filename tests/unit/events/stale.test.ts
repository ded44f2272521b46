import { expect, test } from "vitest";
import { isDeliveredAgain } from "../../../lib/events/stale.ts";
import { presign, type Signature } from "../../../local/cloudformation/presigned-url.ts";

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
