import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { eventAgeOf, RETRY_ATTEMPTS, serviceTimeoutOf } from "../../lib/events/redelivery.ts";

/** The numbers of a file, by their keys. */
function numbersIn(file: string): ReadonlyMap<string, number> {
  const text = readFileSync(`infra/examples/${file}`, "utf8");
  const found = text.matchAll(/^\s*(\w+):? *=? *(\d+)\b/gm);
  return new Map(Array.from(found, ([, key = "", value]) => [key.toLowerCase(), Number(value)]));
}

describe("GIVEN an example with a custom resource", () => {
  test.each([
    ["cloudformation/template.yaml", "maximumeventageinseconds"],
    ["sam/template.yaml", "maximumeventageinseconds"],
    ["serverless/serverless.yml", "maximumeventage"],
  ])(
    "WHEN %s is deployed THEN a process that died is repeated as the construct says",
    (file, age) => {
      const numbers = numbersIn(file);
      const timeout = numbers.get("timeout") ?? 0;

      expect(timeout).toBe(900);
      expect(numbers.get("maximumretryattempts")).toBe(RETRY_ATTEMPTS);
      expect(numbers.get(age)).toBe(eventAgeOf(timeout));
      expect(numbers.get("servicetimeout")).toBe(serviceTimeoutOf(timeout));
    },
  );
});
