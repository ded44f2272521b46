import { describe, expect, test } from "vitest";
import { sampleOf } from "../../../lib/fleet/ask-sample.ts";
import { checkTargets, type Tenant } from "../../../lib/fleet/check-targets.ts";
import { readFleetRequest } from "../../../lib/fleet/read-request.ts";
import { parseLines } from "../../../lib/fleet/sources.ts";
import { cutWaves, type WaveRequest } from "../../../lib/fleet/waves.ts";
import { readAllowed } from "../../../lib/target/allowed.ts";

const ALLOWED = readAllowed({ TARGETS: "parameter:/t/*,database:t_*,neon:*" });
const line = (id: string) =>
  `{"id":${JSON.stringify(id)},"parameter":"/t/${Buffer.from(id).toString("hex")}"}`;
const tenantsOf = (...ids: readonly string[]) =>
  checkTargets(parseLines(ids.map(line).join("\n"), "list"), ALLOWED);

/** Makes tenants of one kind of place. */
function tenantsAt(places: readonly object[]): readonly Tenant[] {
  return checkTargets(
    places.map((place, index) => ({ value: { id: `t${index}`, ...place }, where: "list" })),
    ALLOWED,
  );
}

const ASKED: WaveRequest = {
  waves: [{ percent: 100, pauseSeconds: 0 }],
  maxConcurrency: 50,
  tolerated: { count: 0, percent: 0 },
  perHost: null,
};

function cut(tenants: readonly Tenant[], asked: Partial<WaveRequest>) {
  const known = new Set(tenants.map(({ reference }) => reference.id));
  return cutWaves(tenants, known, { ...ASKED, ...asked });
}

describe("a list of JSON lines", () => {
  test("may have a byte order mark, line ends of Windows and blank last lines", () => {
    const text = `\ufeff${line("a")}\r\n${line("b")}\r\n\r\n`;

    expect(
      checkTargets(parseLines(text, "list"), ALLOWED).map(({ reference }) => reference.id),
    ).toEqual(["a", "b"]);
  });

  test.each([
    ["that is no JSON", "{"],
    ["without an id", '{"parameter":"/t/x"}'],
    ["that is blank in the middle", ""],
    ["outside TARGETS", '{"id":"x","parameter":"/prod/x"}'],
  ])("with one bad line of 10,000, %s, is refused with the number of the line", (_what, bad) => {
    const lines = Array.from({ length: 10_000 }, (_, index) =>
      index === 4_710 ? bad : line(`t${index}`),
    );

    expect(() =>
      checkTargets(parseLines(lines.join("\n"), "s3://fleet/all.jsonl"), ALLOWED),
    ).toThrow(/^Line 4711 of s3:\/\/fleet\/all\.jsonl/);
  });

  test("with a URL in a line is refused without showing it", () => {
    const text = `${line("a")}\npostgres://owner:hunter2secret@host/db`;

    expect(() => parseLines(text, "list")).toThrow(
      expect.objectContaining({
        code: "FLEET_INVALID",
        message: expect.not.stringContaining("hunter2"),
      }),
    );
  });
});

describe("the ids of a list", () => {
  test.each([
    ["A", "a"],
    ["á", "a\u0301"],
    ["ﬁ", "fi"],
    ["straße", "STRASSE"],
    ["ΟΔΟΣ", "οδος"],
    ["οδος", "οδοσ"],
    ["\u212a", "k"],
    ["a b", "a\u00a0b"],
    ["acme", "acme"],
  ])("%j and %j are refused as one, with both lines", (one, other) => {
    expect(() => tenantsOf(one, "between", other)).toThrow(
      /^Line 3 of list, .* has the id of line 1 of list/,
    );
  });

  test("that differ in more than that are several", () => {
    expect(tenantsOf("a", "á", "a.", "a-", "x".repeat(200))).toHaveLength(5);
  });

  test("for one database are refused", () => {
    const same = { database: "t_1" };

    expect(() => tenantsAt([same, same])).toThrow(/is the same database as/);
  });
});

describe("waves", () => {
  const hundred = tenantsOf(
    ...Array.from({ length: 100 }, (_, index) => `t${String(index).padStart(2, "0")}`),
  );

  test("are cut by names, percent of all, count and the rest, and nobody is in two", () => {
    const waves = cut(hundred, {
      waves: [
        { tenants: ["t42", "t07"], pauseSeconds: 60 },
        { percent: 1, pauseSeconds: 300 },
        { count: 50, pauseSeconds: 0 },
        { percent: 100, pauseSeconds: 0 },
      ],
    });

    const all = waves.flatMap(({ tenants }) => tenants.map(({ reference }) => reference.id));
    expect(waves.map(({ name, count, pauseSeconds }) => [name, count, pauseSeconds])).toEqual([
      ["t42 and 1 more", 2, 60],
      ["1 %", 1, 300],
      ["50", 50, 0],
      ["100 %", 47, 0],
    ]);
    expect(all.slice(0, 3)).toEqual(["t42", "t07", "t00"]);
    expect(new Set(all).size).toBe(100);
  });

  test("of a percent of three tenants have at least one, and those without anybody are left out", () => {
    const waves = cut(tenantsOf("a", "b", "c"), {
      waves: [1, 10, 50, 100, 100].map((percent) => ({ percent, pauseSeconds: 0 })),
    });

    expect(waves.map(({ count }) => count)).toEqual([1, 1, 1]);
  });

  test("have their budget as a count, rounded down, the larger of count and percent", () => {
    const budgetOf = (tolerated: WaveRequest["tolerated"]) =>
      cut(hundred, { tolerated })[0]?.toleratedCount;

    expect(budgetOf({ count: 0, percent: 0.5 })).toBe(0);
    expect(budgetOf({ count: 0, percent: 1.9 })).toBe(1);
    expect(budgetOf({ count: 3, percent: 1.9 })).toBe(3);
  });

  test("that leave tenants over, or name one that is not there, are refused", () => {
    expect(() => cut(hundred, { waves: [{ percent: 50, pauseSeconds: 0 }] })).toThrow(
      /leave 50 tenants over/,
    );
    expect(() => cut(hundred, { waves: [{ tenants: ["nobody"], pauseSeconds: 0 }] })).toThrow(
      /"nobody"/,
    );
  });

  test("of 500 databases on one compute respect the cap per host, and share the budget", () => {
    const shared = Array.from({ length: 500 }, (_, index) => ({ database: `t_${index}` }));
    const alone = Array.from({ length: 500 }, (_, index) => ({ parameter: `/t/${index}` }));

    const waves = cut(tenantsAt([...shared, ...alone]), {
      perHost: 8,
      tolerated: { count: 9, percent: 0 },
    });

    expect(waves.map(({ tenants: _, ...wave }) => wave)).toEqual([
      { name: "100 %, shared", count: 500, maxConcurrency: 8, toleratedCount: 5, pauseSeconds: 0 },
      { name: "100 %", count: 500, maxConcurrency: 50, toleratedCount: 4, pauseSeconds: 0 },
    ]);
  });

  test("keep their concurrency where no compute has more tenants than its cap", () => {
    const projects = Array.from({ length: 20 }, (_, index) => ({
      neon: { project: `p-${index % 10}`, database: `d${index}`, role: "owner" },
    }));

    expect(
      cut(tenantsAt(projects), { perHost: 2 }).map(({ maxConcurrency }) => maxConcurrency),
    ).toEqual([50]);
  });
});

describe("the sample of those who are left out", () => {
  const tenants = tenantsOf(...Array.from({ length: 300 }, (_, index) => `t${index}`));

  test.each([
    [0, 0],
    [0.001, 1],
    [0.01, 3],
    [1, 100],
  ])("by %d has %d of 300, each once", (part, count) => {
    const sample = sampleOf(tenants, part);

    expect(sample).toHaveLength(count);
    expect(new Set(sample).size).toBe(count);
  });
});

describe("the input of an execution", () => {
  test("has defaults for all but the targets", () => {
    expect(readFleetRequest({ targets: { inline: [] } })).toEqual({
      targets: { inline: [] },
      request: { action: "up" },
      waves: [{ percent: 100, pauseSeconds: 0 }],
      maxConcurrency: 50,
      tolerated: { count: 0, percent: 0 },
      perHost: null,
      skip: "ledger",
      sample: 0.01,
      list: "whole",
      allowEmpty: false,
      gone: "error",
      failOn: "any",
      rehearse: "none",
    });
  });

  test.each([
    [{}, "targets"],
    [{ targets: {} }, "targets names no source"],
    [{ targets: { inline: [], s3: {} } }, "inline and s3"],
    [{ targets: { inline: [] }, tolerate: {} }, "tolerate"],
    [{ targets: { inline: [] }, tolerated: { percentage: 1 } }, "percentage"],
    [{ targets: { inline: [] }, tolerated: { percent: 101 } }, "tolerated.percent"],
    [{ targets: { inline: [] }, waves: [] }, "waves"],
    [{ targets: { inline: [] }, waves: [{ percent: 1, count: 2 }] }, "waves[0]"],
    [{ targets: { inline: [] }, maxConcurrency: 0 }, "maxConcurrency"],
    [{ targets: { inline: [] }, request: { action: "plan" } }, "request.action"],
    [{ targets: { inline: [] }, request: { dryRun: true } }, "dryRun"],
    [{ targets: { inline: [] }, request: { onFailure: "return" } }, "onFailure"],
    [{ targets: { inline: [] }, request: { target: {} } }, "target"],
    [
      { targets: { sql: { target: { url: "postgres://x" }, query: "select" } } },
      "targets.sql.target",
    ],
    [{ targets: { s3: { bucket: "b" } } }, "targets.s3.key"],
    [{ targets: { inline: [] }, list: "all" }, "list"],
  ])("%j is refused with the name of the field", (input, named) => {
    expect(() => readFleetRequest(input)).toThrow(
      expect.objectContaining({ code: "FLEET_INVALID", message: expect.stringContaining(named) }),
    );
  });

  test.each([
    [{ s3: { bucket: "b", key: "postgres://app:marker@host/db" } }, {}, "targets.s3"],
    [
      { neon: { organization: "o", database: "d", role: "host=x password=marker" } },
      {},
      "targets.neon",
    ],
    [
      { sql: { target: { database: "t_1" }, query: "select dblink('password=marker')" } },
      {},
      "targets.sql.query",
    ],
    [{ inline: [] }, { request: { lockTimeoutMs: "postgres://app:marker@host" } }, "request"],
    [{ inline: [] }, { waves: [{ tenants: ["postgres://app:marker@host"] }] }, "waves"],
    [{ inline: [] }, { note: { url: "marker" } }, "note"],
  ])("with a connection string in %j, %j is refused without showing it", (targets, more, where) => {
    const read = () => readFleetRequest({ targets, ...more });

    expect(read).toThrow(new RegExp(`^${where.replaceAll(".", "\\.")} holds a connection string`));
    expect(read).not.toThrow(/marker/);
  });

  test("may ask a table that has a column host", () => {
    const query = "select id, parameter from tenants where host = 'eu' and dbname = 'app'";

    expect(
      readFleetRequest({ targets: { sql: { target: { database: "t_1" }, query } } }).targets,
    ).toMatchObject({ sql: { query } });
  });
});
