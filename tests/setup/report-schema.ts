import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "vitest";
import type { HistoryAnswer } from "../../bin/history/render.ts";
import type { Amendment } from "../../lib/amend/amend.ts";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import type { RunRecord } from "../../lib/queued-runs/record.ts";
import type { Report } from "../../lib/report/report.ts";

/** Makes a function that returns a value if a published schema allows it, and fails the test otherwise. */
function published<Value>(name: string): (value: unknown) => Value {
  const schema: object = JSON.parse(
    readFileSync(new URL(`../../docs/${name}.schema.json`, import.meta.url), "utf8"),
  );
  const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile<Value>(schema);
  return (value) => {
    if (validate(value)) return value;
    const errors = JSON.stringify(validate.errors, null, 2);
    return expect.fail(`Not as the ${name} schema says: ${errors}\n${JSON.stringify(value)}`);
  };
}

/** Returns the value as a report if the published schema allows it, and fails the test otherwise. */
export const expectReport: (value: unknown) => Report = published<Report>("report");

/** The same for the answer of `baseline` and `repair`. */
export const expectAmendment: (value: unknown) => Amendment = published<Amendment>("amendment");

/** The same for a queued run. */
export const expectRun: (value: unknown) => RunRecord = published<RunRecord>("run");

/** The same for the answer of `history`. */
export const expectHistory: (value: unknown) => HistoryAnswer = published<HistoryAnswer>("history");
/** The same for the report of a fleet. */
export const expectFleetReport: (value: unknown) => FleetReport =
  published<FleetReport>("fleet-report");
