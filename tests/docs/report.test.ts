import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const schema: unknown = JSON.parse(readFileSync("docs/report.schema.json", "utf8"));
const page = readFileSync("docs/reference/report.md", "utf8");
/** The names and values that the page has as code. */
const told = new Set(Array.from(page.matchAll(/`([\w-]+)`/g), ([, name]) => name));

/** Returns the fields of a schema, at any depth, and the values that its enumerations allow. */
function wordsOf(node: unknown): { fields: readonly string[]; values: readonly string[] } {
  if (typeof node !== "object" || node === null) return { fields: [], values: [] };
  const { properties = {}, enum: values = [] } = node as Record<string, never>;
  const inside = Object.values(node).map(wordsOf);
  return {
    fields: [...Object.keys(properties), ...inside.flatMap((each) => each.fields)],
    values: [...(values as string[]), ...inside.flatMap((each) => each.values)],
  };
}

const { fields, values } = wordsOf(schema);

test("the page of the report has every field of its schema", () => {
  expect(fields.length).toBeGreaterThan(60);
  expect(fields.filter((field) => !told.has(field))).toEqual([]);
});

test("the page of the report has every outcome and every reason", () => {
  const lower = values.filter((value) => typeof value === "string" && /^[a-z0-9-]+$/.test(value));
  const elsewhere = ["error", "warning", "note"];

  const untold = lower.filter((value) => !told.has(value) && !elsewhere.includes(value));

  expect(lower).toContain("out-of-order");
  expect(untold).toEqual([]);
});

test("each row of its tables is a field or a value of the schema", () => {
  const rows = Array.from(page.matchAll(/^\| `([\w-]+)`/gm), ([, name]) => name);

  expect(rows.length).toBeGreaterThan(50);
  expect(rows.filter((name) => !fields.includes(`${name}`) && !values.includes(`${name}`))).toEqual(
    [],
  );
});
