import type { ErrorCode } from "../../errors.ts";
import { isRecord } from "../../json.ts";
import { fitReport } from "../../report/fit.ts";
import type { Report } from "../../report/report.ts";
import { printableJson } from "../../text.ts";
import { type HttpEvent, isLoadBalancer } from "./event.ts";

const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  TARGET_DENIED: 403,
  NOT_FOUND: 404,
  RUN_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  LOCKED: 409,
  LOCK_TIMEOUT: 409,
  LOCK_LOST: 409,
  LEDGER_CHANGED: 409,
  REHEARSAL_STALE: 409,
  BUNDLE_MISMATCH: 409,
  TARGET_GONE: 410,
  OUT_OF_ORDER: 422,
  MODIFIED: 422,
  AHEAD: 422,
  LEDGER_SPLIT: 422,
  LEDGER_FOREIGN: 422,
  LEDGER_ELSEWHERE: 422,
  NOT_BASELINED: 422,
  STEP_IN_DOUBT: 422,
  REHEARSAL_LIMIT: 422,
  UNREACHABLE: 503,
  CONNECT_TIMEOUT: 503,
  ENDPOINT_UNAVAILABLE: 503,
  CONNECTION_LOST: 503,
  REHEARSAL_UNAVAILABLE: 503,
  DEADLINE: 504,
};

/** Makes an HTTP answer of a report. @param allow the methods that its path takes */
export function reportAnswer(report: Report, allow: string): HttpAnswer {
  const status = statusOf(report);
  const headers = {
    ...(status === 405 ? { allow } : {}),
    ...(status === 503 ? { "retry-after": "5" } : {}),
  };
  return { status, headers, body: fitReport(report) };
}

function statusOf({ error }: Report): number {
  if (error === undefined) return 200;
  return error.code === "RUN_NOT_STARTED" && error.retryable ? 503 : (STATUS[error.code] ?? 500);
}

/** The content of an HTTP response. */
export interface HttpAnswer {
  readonly status: number;
  /** Beside the headers that every answer has. */
  readonly headers: Readonly<Record<string, string>>;
  /** A text goes out as it is. */
  readonly body: object | string | null;
}

/** Puts an answer into the form that the caller's gateway reads. */
export function httpAnswer(event: HttpEvent, { status, headers, body }: HttpAnswer): object {
  const all = {
    ...{ "content-type": "application/json", "cache-control": "no-store", vary: "accept" },
    ...headers,
  };
  const multi = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]]));
  const shape =
    isRecord(event.multiValueHeaders) && isLoadBalancer(event)
      ? { multiValueHeaders: multi }
      : { headers: all };
  const text = typeof body === "string" ? body : printableJson(body);
  return { statusCode: status, ...shape, isBase64Encoded: false, body: text };
}
