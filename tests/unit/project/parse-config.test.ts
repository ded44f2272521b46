import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../lib/project/parse-config.ts";

const parse = (exported: unknown) => parseConfig("drizzle.config.ts", exported);
const urlOf = (fields: object) => parse({ dialect: "postgresql", ...fields }).database?.url;

describe("parseConfig", () => {
  test("reads what drizzle-kit reads, and leaves the rest alone", () => {
    const parsed = parse({
      dialect: "postgresql",
      schema: "./src/schema.ts",
      out: "./migrations",
      migrations: { schema: "app_meta", table: "my_migrations", prefix: "timestamp" },
      dbCredentials: { url: " postgres://u:p@h/d " },
      schemaFilter: ["public"],
    });

    expect(parsed).toEqual({
      out: "./migrations",
      ledger: { schema: "app_meta", table: "my_migrations" },
      database: { url: "postgres://u:p@h/d" },
    });
  });

  test("takes a file that names nothing but its dialect", () => {
    expect(parse({ dialect: "postgresql" })).toEqual({
      out: null,
      ledger: { schema: null, table: null },
      database: null,
    });
  });

  test.each<[object, string]>([
    [{ host: "h", database: "d" }, "postgres://postgres@h:5432/d"],
    [
      { host: "h", port: 6543, user: "u", password: "p@/?#%:", database: "d e", ssl: "require" },
      "postgres://u:p%40%2F%3F%23%25%3A@h:6543/d%20e?sslmode=require",
    ],
    [{ host: "::1", user: "u", port: "5433", database: "d" }, "postgres://u@[::1]:5433/d"],
    [{ host: "h", database: "d", ssl: true }, "postgres://postgres@h:5432/d?sslmode=require"],
    [
      { host: "h", database: "d", ssl: { rejectUnauthorized: false } },
      "postgres://postgres@h:5432/d?sslmode=require",
    ],
    [{ host: "h", database: "d", ssl: false }, "postgres://postgres@h:5432/d?sslmode=disable"],
    [
      { host: "h", database: "d", ssl: "verify-full" },
      "postgres://postgres@h:5432/d?sslmode=verify-full",
    ],
    [{ host: "h", database: "d", ssl: null }, "postgres://postgres@h:5432/d"],
    [{ url: "postgres://u@h/d", host: "other", database: "d" }, "postgres://u@h/d"],
  ])("makes a connection string of %j", (dbCredentials, url) => {
    expect(urlOf({ dbCredentials })).toBe(url);
  });

  test.each<[object, RegExp]>([
    [{ dbCredentials: { url: null } }, /^dbCredentials of drizzle\.config\.ts has no url: /],
    [{ dbCredentials: { url: " " } }, /has no url: /],
    [{ dbCredentials: {} }, /has no url: /],
    [{ dbCredentials: { host: "h" } }, /has no host or database: /],
    [
      { driver: "aws-data-api", dbCredentials: { database: "d" } },
      /driver .*, aws-data-api, has no/,
    ],
    [{ driver: "pglite", dbCredentials: { url: "./data" } }, /driver .*, pglite, has no/],
  ])("says why there is no connection string in %j", (fields, reason) => {
    const { database } = parse({ dialect: "postgresql", ...fields });

    expect(database).toEqual({ url: null, reason: expect.stringMatching(reason) });
  });

  test.each<[unknown, RegExp]>([
    [undefined, /^drizzle\.config\.ts exports nothing/],
    [null, /exports nothing\. Write "export default defineConfig/],
    [{}, /exports nothing/],
    ["postgresql", /exports a string/],
    [() => undefined, /exports a function/],
    [[{ dialect: "postgresql" }, { dialect: "mysql" }], /exports a list, .* a file of its own/],
    [{ out: "./drizzle" }, /exports no dialect\. .*dialect: "postgresql"/],
    [{ driver: "pg" }, /exports no dialect/],
    [{ dialect: "mysql" }, /is for another database: its dialect is "mysql"/],
    [{ dialect: "cockroach" }, /its dialect is "cockroach"/],
    [{ dialect: "postgresql", out: ["a", "b"] }, /has a list as out/],
    [{ dialect: "postgresql", out: "" }, /has "" as out/],
    [{ dialect: "postgresql", migrations: "app_meta" }, /has migrations that are not an object/],
    [{ dialect: "postgresql", migrations: { table: 7 } }, /has 7 as migrations\.table/],
    [{ dialect: "postgresql", dbCredentials: "postgres://u:geheim@h/d" }, /are not an object/],
  ])("refuses %j with file, reason and way out", (exported, message) => {
    expect(() => parse(exported)).toThrow(
      expect.objectContaining({
        code: "PROJECT_CONFIG_INVALID",
        message: expect.stringMatching(message),
      }),
    );
    expect(() => parse(exported)).toThrow(/--config.*--no-config\.$/);
    expect(() => parse(exported)).not.toThrow(/geheim/);
  });
});
