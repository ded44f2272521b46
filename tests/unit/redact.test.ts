import { describe, expect, test } from "vitest";
import { redact } from "../../lib/redact.ts";

describe("redact", () => {
  test("replaces a known secret in every text, however deep, and keeps the rest", () => {
    const value = { a: ["x hunter22 y", 1, null], b: { c: "hunter22hunter22", d: true } };

    expect(redact(value, ["hunter22"])).toEqual({
      a: ["x [redacted] y", 1, null],
      b: { c: "[redacted][redacted]", d: true },
    });
  });

  test("takes the password out of any connection string, known or not", () => {
    expect(redact("at postgres://u:p@ss:w@h/db and postgresql://u:x@h", [])).toBe(
      "at postgres://u:[redacted]@h/db and postgresql://u:[redacted]@h",
    );
  });

  test("does not tear holes into words for a short password", () => {
    expect(redact("app_users", ["app"])).toBe("app_users");
  });
});
