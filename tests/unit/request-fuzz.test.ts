import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseRequest } from "../../lib/request.ts";
import { hostileValue, mutants } from "../setup/fuzz/mutations.ts";
import { outcomeOf, PASSWORD } from "../setup/fuzz/outcome.ts";
import { expectedRequest, REQUEST } from "../setup/fuzz/request-oracle.ts";
import { tries } from "../setup/tries.ts";

const RUNS = { numRuns: tries(150, 1_000) };

describe("parseRequest, for any value,", () => {
  test("gives back what was asked for, field by field, or refuses", () => {
    fc.assert(
      fc.property(mutants(REQUEST), (value) => {
        const { value: request, error } = outcomeOf(() => parseRequest(value));

        expect(request).toEqual(expectedRequest(value));
        expect(error?.code).toBe(request === null ? "REQUEST_INVALID" : undefined);
      }),
      RUNS,
    );
  });

  test("takes no field from what an object inherits", () => {
    const inherited = fc.record({
      own: fc.constantFrom("__proto__", "constructor", "prototype", "toString"),
      value: fc.oneof(fc.constant(REQUEST), hostileValue),
    });
    fc.assert(
      fc.property(inherited, ({ own, value }) => {
        const { value: request } = outcomeOf(() =>
          parseRequest(Object.fromEntries([[own, value]])),
        );

        expect(request).toEqual(expectedRequest({}));
      }),
      { numRuns: tries(75, 500) },
    );
  });

  test("quotes no password of a connection string that stands in the wrong field", () => {
    const url = fc
      .tuple(
        fc.string({ maxLength: 30 }),
        fc.constantFrom(PASSWORD, encodeURIComponent(PASSWORD)),
        fc.string({ maxLength: 60 }),
      )
      .map(([before, password, after]) => `${before}postgres://app:${password}@host/db${after}`);
    // These two are read where they are used; `allowed.test.ts` has the same for them.
    const keys = Object.keys(REQUEST).filter((key) => !["target", "expect"].includes(key));
    fc.assert(
      fc.property(fc.constantFrom(...keys), url, (key, value) => {
        const { error } = outcomeOf(() => parseRequest({ [key]: value }));

        expect(error?.message).not.toContain("mArKer");
      }),
      { numRuns: tries(150, 1_000) },
    );
  });
});
