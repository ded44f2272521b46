import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RULE_IDS } from "../../lib/bundle/rule-ids.ts";
import { ERROR_CODES } from "../../lib/errors.ts";
import { parseRequest, REQUEST_KEYS } from "../../lib/request.ts";
import { expectAmendment } from "../setup/report-schema.ts";

const readme = readFileSync("README.md", "utf8");
const request = readFileSync("docs/reference/request.md", "utf8");
const errors = readFileSync("docs/reference/errors.md", "utf8");
const scripts: Record<string, string> = JSON.parse(readFileSync("package.json", "utf8")).scripts;

function jsonBlocks(page: string): readonly string[] {
  return Array.from(page.matchAll(/```json\n(.*?)```/gs), ([, text]) => text ?? "");
}

/** The first cells of the rows of a page's tables. */
function rowsOf(page: string): readonly string[] {
  return Array.from(page.matchAll(/^\| `(\w+)` +\|/gm), ([, name = ""]) => name);
}

describe("docs/reference/request.md", () => {
  test("shows requests that are allowed", () => {
    for (const block of jsonBlocks(request)) parseRequest(JSON.parse(block));

    expect(jsonBlocks(request)).not.toEqual([]);
  });

  test("has a row for every field and no other", () => {
    expect(rowsOf(request).toSorted()).toEqual(REQUEST_KEYS.toSorted());
  });

  test("has the defaults", () => {
    const none = "no limit";
    const defaults = Object.entries({ ...parseRequest({}), rehearsalLimits: none }).map(
      ([key, value]) => `${key} ${value}`,
    );
    const shown = Array.from(
      request.matchAll(/^\| `(\w+)` +\|[^|]+\| `?([^|`]+?)`? +\|/gm),
      ([, key, value]) => `${key} ${key === "timeoutMs" ? null : value}`,
    );

    expect(shown.toSorted()).toEqual(defaults.toSorted());
  });
});

describe("the README", () => {
  test("says what, why and how in 110 lines, before its Usage", () => {
    const lines = readme.split("\n").indexOf("## Usage");

    expect(lines).toBeGreaterThan(0);
    expect(lines).toBeLessThan(110);
  });

  test("has the figures of the pages that it links to", () => {
    const performance = readFileSync("docs/explanation/performance.md", "utf8");
    const [, after = ""] = performance.split("At 10 ms round trip");
    const [at10 = ""] = after.split("At 50 ms round trip");
    const figures = Array.from(
      readme.matchAll(/(\d+ ms), (\d+) round trips/g),
      ([, time, trips]) => `${time} ${trips} rt`,
    );

    expect(figures).toHaveLength(4);
    expect(figures.filter((each) => !at10.includes(each))).toEqual([]);
    expect(readFileSync("docs/reference/fidelity.md", "utf8")).toContain("57,317 facts");
    expect(readme).toContain("57,317 facts");
    expect(readme).toContain(`${RULE_IDS.length} rules`);
    expect(readFileSync("docs/explanation/comparison.md", "utf8")).toContain(
      `${RULE_IDS.length} rules`,
    );
  });

  test("calls only scripts that exist", () => {
    const called = Array.from(readme.matchAll(/npm run (\w+)/g), ([, name]) => name ?? "");

    for (const name of [...called, "start", "test"]) expect(scripts).toHaveProperty([name]);
  });
});

describe("docs/reference/errors.md", () => {
  test("has a row for every code and no other", () => {
    const table = errors.split("## Warnings")[0] ?? "";
    const rows = Array.from(table.matchAll(/^\|\s*`([A-Z_]+)`\s*\|/gm), ([, code]) => code);

    expect(rows.toSorted()).toEqual([...ERROR_CODES].sort());
  });
});

describe("docs/report.schema.json", () => {
  test("allows every code and no other", () => {
    const schema = JSON.parse(readFileSync("docs/report.schema.json", "utf8"));

    expect(schema.properties.error.properties.code.enum).toEqual([...ERROR_CODES]);
  });
});

describe("docs/reference/baseline-and-repair.md", () => {
  const page = readFileSync("docs/reference/baseline-and-repair.md", "utf8");

  test("shows an amendment as the published schema describes it", () => {
    const [, example = ""] = /```json\n(.*?)```/s.exec(page) ?? [];

    expectAmendment(JSON.parse(example));
  });
});
