import { describe, expect, test } from "vitest";
import { redact } from "../../../lib/report/redact.ts";
import { EXAMPLE_URL } from "../../../lib/text.ts";

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

  test("finds a known secret however much of it is percent-encoded", () => {
    const forms = ["p+a ss/w%rd", "p%2Ba%20ss%2Fw%25rd", "p%2ba+ss/w%25rd", "p+a%20ss/w%rd"];

    for (const form of forms) expect(redact(`x${form}y`, ["p+a ss/w%rd"])).toBe("x[redacted]y");
  });

  test("finds a known secret of characters that take two units each", () => {
    const secret = "😀🔑key😀";
    const forms = [secret, encodeURIComponent(secret)];

    for (const form of forms) expect(redact(`x${form}y`, [secret])).toBe("x[redacted]y");
  });

  test.each([
    ["postgres://u:with blanks/x@h/db", "postgres://u:[redacted]@h/db"],
    ["postgres://me@corp.example:word@h", "postgres://me@corp.example:[redacted]@h"],
    ["postgres:/u:word@h/db", "postgres:/u:[redacted]@h/db"],
    ["postgres://u@h/db?password=word&x=1", "postgres://u@h/db?password=[redacted]&x=1"],
  ])("takes the password out of %s, which is not written as it should be", (text, expected) => {
    expect(redact(text, [])).toBe(expected);
  });

  test.each(["drizzle", "public", "select", "Migrations", "TABLE", "neondb_owner", "a", "as"])(
    "hides the password %s where it stands as one, and nowhere else",
    (password) => {
      const url = `postgres://app:${password}@h/db`;
      const text = `drizzle.__drizzle_migrations public.x select Migrations TABLE neondb_owner a as`;

      const [names, ...places] = redact(
        [
          text,
          url,
          `at ${url}?x=1`,
          `password=${password} host=h`,
          `alter role r PASSWORD '${password}';`,
        ],
        [url],
      );

      expect(names).toBe(text);
      expect(places).toEqual([
        "[redacted]",
        "at [redacted]?x=1",
        "password=[redacted] host=h",
        "alter role r PASSWORD [redacted];",
      ]);
    },
  );

  test.each([
    ["correcthorsebattery", "long"],
    ["drizzle7", "with a digit"],
    ["dRiZzLe", "in mixed letters"],
    ["drizzle!", "with a mark"],
    ["_drizzle", "that does not begin as a word"],
    ["größer", "of other letters"],
  ])("hides the password %s (%s) wherever it stands", (password) => {
    const text = `x${password}y`;

    expect(redact(text, [`postgres://app:${encodeURIComponent(password)}@h/db`])).toBe(
      "x[redacted]y",
    );
  });

  test.each([
    ["password = 'it''s a secret' host=h", "password = [redacted] host=h"],
    ["PGPASSWORD=word psql", "PGPASSWORD=[redacted] psql"],
    ["create role r password 'word'", "create role r password [redacted]"],
  ])("takes the password out of %s", (text, expected) => {
    expect(redact(text, [])).toBe(expected);
  });

  test.each([
    ["a text of ours", "at Xk9+fQ…", "at [redacted]…"],
    ["a text of PostgreSQL", 'COPY t, line 1: "Xk9+f...', 'COPY t, line 1: "[redacted]...'],
    ["its middle, encoded", "at Xk9%2Bf%5…", "at [redacted]…"],
    ["its last character", "at Xk9+fQ/z…", "at [redacted]…"],
    ["the connection string with it", "at postgres://app:Xk9%2Bf…", "at [redacted]…"],
    ["a string of another database", "at postgres://a:word…", "at postgres://a:[redacted]…"],
    ["a long one", `at ${"k3y-".repeat(400)}…`, "at [redacted]…"],
    ["what is none of it", "at Xkeys… and …", "at Xkeys… and …"],
  ])("hides the beginning of a secret before the cut: %s", (_name, text, expected) => {
    const secrets = ["postgres://app:Xk9%2BfQ%2Fz!@h.example/db", "k3y-".repeat(1_000)];

    expect(redact(text, secrets)).toBe(expected);
  });

  test("leaves the example of our own messages as it is", () => {
    const text = `It is not a URL of the form ${EXAMPLE_URL}.`;

    expect(redact(text, ["postgres://u:password@host/database"])).toBe(text);
    expect(redact("postgres://USER:PASSWORD@real.example/db", [])).toContain("[redacted]");
  });

  test("takes linear time for what looks like many connection strings", () => {
    // If each of them were followed to the end of the text, it would take longer than a test may.
    const text = `${"postgres://u:".repeat(5_000)}${"x".repeat(50_000_000)}`;

    expect(redact(text, []) === text).toBe(true);
  });

  test("does not tear holes into words for a short password", () => {
    expect(redact("app_users", ["app"])).toBe("app_users");
  });
});
