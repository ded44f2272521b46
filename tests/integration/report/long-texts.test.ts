import { describe, expect } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const LENGTH = 6_000_000;
/** A report of 200 MB for each text is beyond what Node can write as JSON. */
const MOST_BYTES = 600_000;

function raise(message: string, options = ""): string {
  return `do $$ begin raise exception '%', ${message}${options}; end $$`;
}

const long = (letter: string) => `repeat('${letter}', ${LENGTH})`;

describe.each(["drizzle", "statements"])("with the executor %s", (executor) => {
  test.for<[string, string, "message" | "detail" | "hint" | "where", string]>([
    ["a message", raise(long("m")), "message", "Migration 0000_long, statement 1 (line 1): mmm"],
    ["a detail", raise("'no'", ` using detail = ${long("d")}`), "detail", "ddd"],
    ["a hint", raise("'no'", ` using hint = ${long("h")}`), "hint", "hhh"],
    [
      "a context",
      `do $$ begin execute 'select 1/0, ' || quote_literal(${long("c")}); end $$`,
      "where",
      "SQL statement",
    ],
  ])("%s of many megabytes is told by its beginning", async (given, { target }) => {
    const [, sql, field, begin] = given;

    const report = await run(target, makeBundle(makeMigration("0000_long", 1_000, sql)), {
      executor,
    });

    expect(report.error).toMatchObject({
      code: "MIGRATION_FAILED",
      migration: "0000_long",
      statement: { index: 1, line: 1 },
    });
    const text = report.error?.[field] ?? "";
    expect(text.startsWith(begin)).toBe(true);
    expect(text.length).toBeGreaterThan(50_000);
    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(MOST_BYTES);
  });
});
