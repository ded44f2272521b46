import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ERROR_CODES } from "../../lib/errors.ts";
import { parseRequest, REQUEST_KEYS } from "../../lib/request.ts";
import { expectAmendment } from "../setup/report-schema.ts";

const readme = readFileSync("README.md", "utf8");
const errors = readFileSync("docs/reference/errors.md", "utf8");
const scripts: Record<string, string> = JSON.parse(readFileSync("package.json", "utf8")).scripts;

function blocks(language: string): readonly string[] {
  return Array.from(
    readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs")),
    ([, text]) => text ?? "",
  );
}

describe("the README", () => {
  test("shows requests that are allowed", () => {
    for (const block of blocks("json")) parseRequest(JSON.parse(block));

    expect(blocks("json")).not.toEqual([]);
  });

  test("names every request field", () => {
    for (const key of REQUEST_KEYS) expect(readme).toContain(`\`${key}\``);
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
