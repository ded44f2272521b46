import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { parseEndpoint } from "../../../lib/target/endpoint.ts";

describe("parseEndpoint", () => {
  test("takes a connection string apart and leaves out what means nothing over a WebSocket", () => {
    const endpoint = parseEndpoint(
      "postgresql://al%40ice:p%3A%2Fw@ep-cool-1.eu-central-1.aws.neon.tech/app?sslmode=require&sslrootcert=x.pem",
    );

    expect(endpoint).toEqual({
      host: "ep-cool-1.eu-central-1.aws.neon.tech",
      port: 5432,
      user: "al@ice",
      password: "p:/w",
      database: "app",
      options: null,
      warnings: [],
    });
  });

  test("replaces a pooled host by its direct one and says so", () => {
    const endpoint = parseEndpoint("postgres://u:p@ep-cool-1-pooler.eu.aws.neon.tech:6543/app");

    expect(endpoint).toMatchObject({ host: "ep-cool-1.eu.aws.neon.tech", port: 6543 });
    expect(endpoint.warnings.map(({ code }) => code)).toEqual(["POOLED_ENDPOINT"]);
  });

  test("uses the user's name as the database when none is named, as libpq does", () => {
    expect(parseEndpoint("postgres://alice:pw@localhost").database).toBe("alice");
  });

  test.each([
    ["not a url"],
    ["mysql://u:secret-word@h/db"],
    ["postgres://h/db"],
    ["postgres://u:sec%ret-word@h/db"],
    ["postgres://u:pass@secret-word/x@h/db"],
    ["postgres://u:pass@secret-word?x@h/db"],
    ["postgres://u:pass@secret-word#x@h/db"],
    ["postgres://u%00database%00secret-word:p@h/db"],
    ["postgres://u:secret-word@h/db?options=%00"],
    ["postgres://u:secret-word@h:0/db"],
    [""],
  ])("refuses %s without showing it", (text) => {
    const refused = () => parseEndpoint(text);

    expect(refused).toThrow(expect.objectContaining({ code: "DATABASE_URL_INVALID" }));
    expect(refused).not.toThrow(/secret-word|ret-word/);
  });

  test("ends in an endpoint or a coded error for any text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => {
        try {
          parseEndpoint(text);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(MigratorError);
        }
      }),
    );
  });
});
