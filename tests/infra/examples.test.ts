import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { eventAgeOf, RETRY_ATTEMPTS, serviceTimeoutOf } from "../../lib/events/redelivery.ts";

/** The numbers of a file, by their keys. */
function numbersIn(file: string): ReadonlyMap<string, number> {
  const text = readFileSync(`infra/examples/${file}`, "utf8");
  const found = text.matchAll(/^\s*(\w+):? *=? *(\d+)\b/gm);
  const plain = (key: string) => key.replaceAll("_", "").toLowerCase();
  return new Map(Array.from(found, ([, key = "", value]) => [plain(key), Number(value)]));
}

describe("GIVEN an example that deploys the function", () => {
  test.each([
    ["cloudformation/template.yaml", true],
    ["sam/template.yaml", true],
    ["serverless/serverless.yml", true],
    ["terraform/main.tf", false],
    ["sst/sst.config.ts", false],
  ])("WHEN %s is deployed THEN it is as the construct says", (file, waits) => {
    const numbers = numbersIn(file);
    const timeout = numbers.get("timeout") ?? 0;
    const age = numbers.get("maximumeventageinseconds") ?? numbers.get("maximumeventage");

    expect(timeout).toBe(900);
    expect(numbers.get("maximumretryattempts")).toBe(RETRY_ATTEMPTS);
    expect(age).toBe(eventAgeOf(timeout));
    expect(numbers.get("servicetimeout")).toBe(waits ? serviceTimeoutOf(timeout) : undefined);
  });
});
