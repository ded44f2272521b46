import type { Report } from "../../../lib/report/report.ts";
import type { LocalLambda } from "../../../local/lambda/lambda.ts";

/** One call of the function. */
export interface Shot {
  /** Null when no report came. */
  readonly report: Report | null;
  /** What came instead. */
  readonly instead: string;
  /** By `performance.now()`. */
  readonly endedAt: number;
}

const STATUSES: readonly unknown[] = ["applied", "up-to-date", "failed"];

/** Calls the function, as a deployment does. */
export async function fire(lambda: LocalLambda, request: object = {}): Promise<Shot> {
  const { payload } = await lambda.invoke({ ...request, action: "up", onFailure: "return" });
  const endedAt = performance.now();
  return isReport(payload)
    ? { report: payload, instead: "", endedAt }
    : { report: null, instead: JSON.stringify(payload), endedAt };
}

function isReport(payload: unknown): payload is Report {
  return (
    typeof payload === "object" &&
    payload !== null &&
    STATUSES.includes(Reflect.get(payload, "status"))
  );
}
