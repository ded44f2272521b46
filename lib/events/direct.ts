import { asRecord, isRecord } from "../json.ts";
import { fitReport, MAX_REPORT_BYTES } from "../report/fit.ts";
import { parseRequest, REQUEST_KEYS } from "../request.ts";
import { refuseUnknown } from "../unknown-fields.ts";
import type { Caller } from "./caller.ts";
import { findOther } from "./other-bundle.ts";

/** The keys that deployment tools add to a payload, or send alone to force a run (Terraform, Pulumi, SST, Step Functions). */
const TOOL_KEYS = [
  "tf",
  "now",
  "trigger",
  "triggers",
  "timestamp",
  "time",
  "hash",
  "migrationsHash",
  // Step Functions: the context object's facts, under their usual names, and the execution that began this one.
  "executionArn",
  "executionId",
  "executionName",
  "executionStartTime",
  "retryCount",
  "stateEnteredTime",
  "stateMachineId",
  "stateName",
  "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID",
  // Tracing: Datadog and OpenTelemetry.
  "_datadog",
  "traceparent",
  "tracestate",
];

/** The largest report of a tenant, in bytes: Step Functions takes 256 KiB as the result of a task. */
const TENANTS_REPORT_BYTES = 200_000;

/** A plain invocation: by a pipeline, by hand, or by a tool. An empty payload applies the pending migrations. */
export function direct(event: unknown): Caller | null {
  if (!isOurs(event ?? {})) return null;
  return {
    source: "direct",
    async request(call) {
      if (isDestruction(event)) return null;
      const { migrationsHash } = asRecord(event);
      const other = await findOther(migrationsHash, call);
      if (other !== null) throw other.staleBundle(other.ours.whole, String(migrationsHash));
      await refuseTaskToken(event);
      refuseUnknown(event ?? {}, toolKeysIn(event));
      return parseRequest(event);
    },
    /** Returns the report; throws a failure, so that FunctionError stops the pipeline, unless the event asks for it back. */
    async respond({ report }) {
      if (report === null) return null;
      if (report.status !== "failed" || asRecord(event).onFailure === "return") {
        return fitReport(report, report.target === null ? MAX_REPORT_BYTES : TENANTS_REPORT_BYTES);
      }
      throw (await import("./on-use.ts")).failure(report);
    },
  };
}

/** Whether one field at least is a request's, or all the others are those of tools. */
function isOurs(event: unknown): boolean {
  if (!isRecord(event)) return false;
  const tools = toolKeysIn(event);
  return (
    REQUEST_KEYS.some((key) => (event[key] ?? null) !== null) ||
    Object.keys(event).every((key) => tools.includes(key) || REQUEST_KEYS.includes(key))
  );
}

/** The names of the fields that tools have added to an event. */
function toolKeysIn(event: unknown): readonly string[] {
  return Object.entries(asRecord(event))
    .filter(([key, value]) => TOOL_KEYS.includes(key) || isTerraforms(value))
    .map(([key]) => key);
}

/**
 * Terraform's `aws_lambda_invocation` with `lifecycle_scope = "CRUD"` invokes once more when it is
 * destroyed: as little a reason to apply as CloudFormation's Delete. It adds a field to the input, by the name
 * `tf` unless `terraform_key` gives another (AWS provider, resource `aws_lambda_invocation`).
 */
function isDestruction(event: unknown): boolean {
  if (!isRecord(event)) return false;
  const added = [event.tf, ...Object.values(event).filter(isTerraforms)];
  return added.some((each) => isRecord(each) && each.action === "delete");
}

function isTerraforms(value: unknown): boolean {
  return isRecord(value) && "prev_input" in value && typeof value.action === "string";
}

/** Refuses a task token: nobody would ever send it back, and the state machine would wait until its time-out. */
async function refuseTaskToken(event: unknown): Promise<void> {
  const key = Object.keys(asRecord(event)).find((each) => /^token$|task[-_]?token$/i.test(each));
  if (key === undefined) return;
  const { taskTokenError } = await import("./on-use.ts");
  throw taskTokenError(key);
}
