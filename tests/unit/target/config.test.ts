import { describe, expect, test } from "vitest";
import { readConfig } from "../../../lib/target/config.ts";

const ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/database-AbCdEf";

/** Where the connection string is, for these settings; the error's code and message where they are refused. */
function found(secret: string, field?: string): unknown {
  try {
    const settings = { DATABASE_URL_SECRET: secret, DATABASE_URL_SECRET_FIELD: field };
    return readConfig(settings).databaseUrl;
  } catch (thrown) {
    return thrown;
  }
}

describe("a reference to a secret", () => {
  test.each([
    [ARN, undefined, ARN, null],
    [ARN, "url", ARN, "url"],
    [`${ARN}#migrator`, undefined, ARN, "migrator"],
    ["shop/database#migrator", "migrator", "shop/database", "migrator"],
    [` ${ARN} # a field `, undefined, ARN, "a field"],
    // Somebody's mistake: it is reported as it is, so that all of it is known to be a connection string.
    ["postgres://app:pass#word@host/db", undefined, "postgres://app:pass#word@host/db", null],
  ])("%j with field %j", (secret, field, id, named) => {
    expect(found(secret, field)).toEqual({ from: "secret", id, field: named });
  });

  test.each([
    [`${ARN}#`, undefined],
    ["#migrator", undefined],
    [`${ARN}#migrator`, "url"],
  ])("is refused in words that say what belongs where: %j with field %j", (secret, field) => {
    expect(found(secret, field)).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/^DATABASE_URL_SECRET has a # in it\. In front of it belongs/),
    });
  });
});

test.each([
  ["on", true],
  ["off", false],
  ["", undefined],
])("reads LEDGER_HISTORY=%s", (value, history) => {
  expect(readConfig({ LEDGER_HISTORY: value }).ledger.history).toBe(history);
});

test("refuses any other LEDGER_HISTORY, so that a slip does not switch it", () => {
  expect(() => readConfig({ LEDGER_HISTORY: "fasle" })).toThrow(
    'LEDGER_HISTORY is "fasle". Allowed: on, off.',
  );
});
