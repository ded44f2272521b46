import { MigratorError } from "../errors.ts";
import { asRecord, isRecord } from "../json.ts";
import { meantBy } from "../unknown-fields.ts";
import type { Caller } from "./caller.ts";

/** The keys that give away the events that people connect by mistake. */
const MARKERS = [
  "detail-type",
  "Records",
  "neon-migrate.run",
  "neon-migrate.fleet",
  "CodePipeline.job",
  "LifecycleEventHookExecutionId",
  "lifecycleStage",
  "targetServiceRevisionArn",
  "triggerSource",
  "awslogs",
  "invokingEvent",
  "methodArn",
  "routeArn",
  "deliveryStreamArn",
  "invocationSchemaVersion",
  "bootstrapServers",
  "alarmData",
  "requestContext",
  "RequestType",
  "ResponseURL",
];

/** Refuses an event that carries the mark of a service that is not served, whatever else is in it. */
export function foreign(event: unknown): Caller | null {
  const marker = isRecord(event) ? MARKERS.find((key) => key in event) : undefined;
  return marker === undefined ? null : refused(marker);
}

/** Refuses every other event: none leads to a silent run. A mistyped field is named. */
export function unknown(event: unknown): Caller {
  const names = Object.keys(asRecord(event));
  return refused(names.find((each) => meantBy(each) !== undefined) ?? "");
}

/** @param key the field that gave the event away; empty without one */
function refused(key: string): Caller {
  return {
    source: "unsupported",
    async request() {
      throw (await import("./on-use.ts")).unsupported(key);
    },
    respond({ report }) {
      const { code, message } = report?.error ?? { code: "INTERNAL" as const, message: "" };
      throw new MigratorError(code, message);
    },
  };
}
