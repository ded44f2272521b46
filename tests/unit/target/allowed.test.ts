import { describe, expect, test } from "vitest";
import { assertAllowed, readAllowed } from "../../../lib/target/allowed.ts";
import { readTargetReference } from "../../../lib/target-reference.ts";

const ACCOUNT = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:";
const TARGETS = [
  "parameter:/tenants/*, secret:tenants/*,neon:late-*,database:tenant_*,parameter:/control/url",
  `secret:${ACCOUNT}fleet/*`,
].join(",");

/** Judges a target as the function does. Returns the code of the refusal; null for one that is allowed. */
function judge(target: object, targets: string = TARGETS): unknown {
  try {
    assertAllowed(
      readTargetReference({ id: "acme", ...target }),
      readAllowed({ TARGETS: targets }),
    );
    return null;
  } catch (thrown) {
    return Reflect.get(Object(thrown), "code");
  }
}

const neon = (fields: object) => ({
  neon: { project: "late-frost-12345678", database: "app", role: "owner", ...fields },
});

describe("a reference that TARGETS names is allowed:", () => {
  test.each([
    ["a parameter below a prefix", { parameter: "/tenants/acme/url" }],
    ["a parameter by its whole name", { parameter: "/control/url" }],
    ["a secret below a prefix", { secret: "tenants/acme", field: "url" }],
    ["a secret by the ARN of an account that is named", { secret: `${ACCOUNT}fleet/acme-AbCdEf` }],
    ["a project", neon({ branch: "br-cold-sun-12345678" })],
    ["a database", { database: "tenant_acme" }],
  ])("%s", (_what, target) => {
    expect(judge(target)).toBeNull();
  });
});

describe("a reference outside TARGETS is denied, and so is every other spelling of one inside:", () => {
  test.each([
    ["outside", { parameter: "/prod/url" }],
    ["a longer name than the whole one that is named", { parameter: "/control/url2" }],
    ["the prefix of another kind", { secret: "/tenants/acme" }],
    ["..", { parameter: "/tenants/../prod/url" }],
    [".. at the end", { secret: "tenants/.." }],
    [".", { parameter: "/tenants/./acme" }],
    ["two slashes", { parameter: "/tenants//acme" }],
    ["*", { parameter: "/tenants/*" }],
    ["?", { secret: "tenants/acm?" }],
    ["another case", { parameter: "/Tenants/acme/url" }],
    ["no leading slash", { parameter: "tenants/acme/url" }],
    ["percent-encoded", { parameter: "/tenants%2Facme" }],
    ["a version of a parameter", { parameter: "/tenants/acme/url:1" }],
    ["a blank in front", { parameter: " /tenants/acme/url" }],
    ["a line break behind", { secret: "tenants/acme\n" }],
    ["a zero byte", { parameter: "/tenants/acme\0/prod" }],
    ["a letter that looks the same", { secret: "tenаnts/acme" }],
    [
      "an ARN of another account",
      { secret: `${ACCOUNT.replace("123456789012", "210987654321")}fleet/acme-AbCdEf` },
    ],
    [
      "an ARN of another Region",
      { secret: `${ACCOUNT.replace("eu-central-1", "us-east-1")}fleet/acme-AbCdEf` },
    ],
    ["an ARN where only names are allowed", { secret: `${ACCOUNT}tenants/acme-AbCdEf` }],
    ["an ARN in capitals", { secret: `${ACCOUNT}fleet/acme-AbCdEf`.toUpperCase() }],
    [
      "an ARN of a parameter elsewhere",
      { parameter: "arn:aws:ssm:eu-central-1:210987654321:parameter/tenants/acme" },
    ],
    ["a secret, read as a parameter", { parameter: "/aws/reference/secretsmanager/prod" }],
    ["a name that is too long", { parameter: `/tenants/${"a".repeat(1_100)}` }],
    ["a project that is not named", neon({ project: "early-rain-12345678" })],
    ["a path in the project", neon({ project: "late-frost/branches" })],
    ["a database with a query", neon({ database: "app?options=-csearch_path=x" })],
    ["a branch that is none", neon({ branch: "main" })],
    ["a role with a slash", neon({ role: "owner/x" })],
    ["a database that is not named", { database: "postgres" }],
    ["a database with a path", { database: "tenant_a/../postgres" }],
    ["a database with parameters", { database: "tenant_a?options=x" }],
    ["a database that PostgreSQL would cut off", { database: `tenant_${"ä".repeat(40)}` }],
    ["a blank behind a database", { database: "tenant_a " }],
  ])("%s", (_what, target) => {
    expect(judge(target)).toBe("TARGET_DENIED");
  });

  test.each([
    ["a secret by a bare star takes no ARN", `${ACCOUNT}prod-AbCdEf`, "secret:*"],
    [
      "a parameter by a bare star takes no secret",
      "/aws/reference/secretsmanager/prod",
      "parameter:*",
    ],
  ])("%s", (_what, name, targets) => {
    const kind = targets.split(":")[0] ?? "";

    expect(judge({ [kind]: name }, targets)).toBe("TARGET_DENIED");
  });

  test("every target is, where TARGETS is not set", () => {
    expect(judge({ parameter: "/tenants/acme/url" }, "")).toBe("TARGET_DENIED");
  });
});

describe("TARGETS", () => {
  test.each([
    "url:*",
    "parameter",
    "parameter:",
    "parameter:/a*/b",
    "secret:arn:aws:secretsmanager:*",
    "secret:arn:*",
  ])("with %j is no setting", (targets) => {
    expect(() => readAllowed({ TARGETS: targets })).toThrow(/TARGETS has/);
  });
});

describe("a URL in a target is refused, and no message shows a part of it:", () => {
  const URL = "postgres://owner:hunter2secret@ep-cool-1.eu-central-1.aws.neon.tech/app";

  test.each([
    ["as the target", URL],
    ["as a place", { parameter: URL }],
    ["as an id", { id: URL, parameter: "/tenants/acme" }],
    ["in a field of its own", { url: "hunter2secret" }],
    ["in a field of another name", { databaseUrl: "hunter2secret" }],
    ["as the name of a field", { [URL]: 1 }],
    ["deep inside", { neon: { project: "late", database: URL, role: "owner" } }],
    ["in a list", [URL]],
    ["as keys and values", { secret: "host=ep-cool-1 password=hunter2secret" }],
    ["beside a good place", { parameter: "/tenants/acme", connectionString: "hunter2secret" }],
  ])("%s", (_what, target) => {
    const value =
      typeof target === "object" && !Array.isArray(target) ? { id: "acme", ...target } : target;

    expect(() => readTargetReference(value)).toThrow(
      expect.objectContaining({
        code: "REQUEST_INVALID",
        message: expect.not.stringMatching(/hunter2|ep-cool/),
      }),
    );
  });
});

describe("a target that is none is refused:", () => {
  test.each([
    [null],
    ["acme"],
    [{ id: "acme" }],
    [{ parameter: "/tenants/acme" }],
    [{ id: "", parameter: "/tenants/acme" }],
    [{ id: " acme", parameter: "/tenants/acme" }],
    [{ id: "a\u0000b", parameter: "/tenants/acme" }],
    [{ id: "a".repeat(201), parameter: "/tenants/acme" }],
    [{ id: "acme", parameter: "/tenants/acme", secret: "tenants/acme" }],
    [{ id: "acme", parameter: "/tenants/acme", field: "url" }],
    [{ id: "acme", parameter: 7 }],
    [{ id: "acme", neon: "late-frost" }],
    [{ id: "acme", neon: { project: "late-frost", database: "app" } }],
  ])("%j", (target) => {
    expect(() => readTargetReference(target)).toThrow(/^The request's target /);
  });

  test.each(["\u3164", "a\u200b", "a\ufe0f", "a\u034f", "\u2800", "a\ud800", "a\u2028b"])(
    "one whose id has a character that nobody sees: %j",
    (id) => {
      expect(() => readTargetReference({ id, parameter: "/tenants/acme" })).toThrow(/has no id/);
    },
  );

  test("one that is nested deeper than a stack is", () => {
    const deep: unknown = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);

    expect(() => readTargetReference({ id: deep, parameter: "/tenants/acme" })).toThrow(
      /has no id/,
    );
  });
});
