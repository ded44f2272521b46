import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { redact } from "../../../lib/report/redact.ts";
import { parseEndpoint } from "../../../lib/target/endpoint.ts";

function errorOf(refused: () => unknown): Error {
  try {
    refused();
  } catch (thrown) {
    if (thrown instanceof Error) return thrown;
  }
  return expect.fail("It was taken.");
}

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

  test.each([
    ["a slash in the password", "postgres://u:se/cret@h/db", "%2F"],
    ["a slash behind digits", "postgres://u:12/cret@h/db", "%2F"],
    ["a slash behind an @", "postgres://u:p@se/cret@h/db", "%2F"],
    ["a question mark in the password", "postgres://u:se?cret@h/db", "%3F"],
    ["a number sign in the password", "postgres://u:se#cret@h/db", "%23"],
    ["a number sign behind digits", "postgres://u:1#cret@h/db?sslmode=require", "%23"],
    ["a number sign without an @", "postgres://u@h/db#cret", "%23"],
    ["a percent sign in the password", "postgres://u:se%cret@h/db", "%25"],
    ["an @ behind the host", "postgres://u:p@h/db?application_name=me@cret", "%40"],
    ["the command of Neon's console", "psql 'postgresql://u:cret@h/db?sslmode=require'", "psql"],
    ["a command without quotes", "psql postgresql://u:cret@h/db", "psql"],
    ["quotation marks", '"postgres://u:cret@h/db"', "quotation mark"],
    ["one quotation mark", 'postgres://u:cret@h/db"', "quotation mark"],
    ["an assignment", "DATABASE_URL=postgres://u:cret@h/db", "name of a variable"],
    ["an export", 'export DATABASE_URL="postgres://u:cret@h/db"', "name of a variable"],
    ["a field of YAML", "DATABASE_URL: postgres://u:cret@h/db", "name of a variable"],
    ["a comma at the end", "postgres://u:cret@h/db,", "comma"],
    ["a semicolon at the end", "postgres://u:cret@h/db;", "semicolon"],
    ["a line break inside", "postgres://u:se\ncret@h/db", "line break"],
    ["a driver of Java", "jdbc:postgresql://h/db?user=u&password=cret", "jdbc:"],
    ["a driver of Python", "postgresql+asyncpg://u:cret@h/db", "Python"],
    ["keys and values", "host=h user=u password=cret dbname=db", "keys and values"],
    ["one slash", "postgres:/u:cret@h/db", "//"],
  ])("tells %s, and how to write it, without the password", (_, text, words) => {
    const refused = () => parseEndpoint(text);

    expect(refused).toThrow(expect.objectContaining({ code: "DATABASE_URL_INVALID" }));
    expect(refused).toThrow(words);
    expect(refused).not.toThrow(/cret/);
    const { message } = errorOf(refused);
    expect(redact(message, [text, "se/cret"])).toBe(message);
  });

  test.each([
    ["blanks", "postgres://u:a b@h/db", "a b"],
    ["other letters", "postgres://u:pässwörd💥@h/db", "pässwörd💥"],
    ["an @", "postgres://u:a@b@h/db", "a@b"],
    ["a colon", "postgres://u:a:b@h/db", "a:b"],
    ["quotation marks", "postgres://u:'a\"@h/db", "'a\""],
    ["what was encoded", "postgres://u:%2F%3F%23%25%40@h/db", "/?#%@"],
  ])("takes a password with %s as it is meant", (_, text, password) => {
    expect(parseEndpoint(text)).toMatchObject({ host: "h", database: "db", password });
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

test.each([
  "x-pooler.internal",
  "ep-cool-1-pooler.neon.tech.example.com",
  "db-pooler.notneon.tech",
  "ep-pooler.eu.aws.neon.technology",
])("a host that is not Neon's is never replaced: %s", (host) => {
  const endpoint = parseEndpoint(`postgres://u:p@${host}/app`);

  expect(endpoint).toMatchObject({ host, warnings: [] });
});

test.each([
  "EP-COOL-1-POOLER.EU.AWS.NEON.TECH",
  "ep-cool-1-pooler.eu.aws.neon.build.",
  "ep-cool-1-pooler.c-2.us-east-1.aws.neon.tech",
])("a pooled host of Neon's is replaced however it is written: %s", (host) => {
  expect(parseEndpoint(`postgres://u:p@${host}/app`).host).toBe(host.replace(/-pooler/i, ""));
});
