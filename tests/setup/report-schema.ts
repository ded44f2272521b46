import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "vitest";
import type { Report } from "../../lib/report.ts";

const schema: object = JSON.parse(
  readFileSync(new URL("../../docs/report.schema.json", import.meta.url), "utf8"),
);
const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile<Report>(schema);

/** Returns the value as a report if the published schema allows it, and fails the test otherwise. */
export function expectReport(value: unknown): Report {
  if (validate(value)) return value;
  expect.fail(
    `Not a report: ${JSON.stringify(validate.errors, null, 2)}\n${JSON.stringify(value)}`,
  );
}
