import { type ErrorCode, MigratorError } from "../errors.ts";
import type { Report } from "../report.ts";
import { parseRequest } from "../request.ts";
import { type EventSource, isRecord } from "./source.ts";

type HttpEvent = Readonly<Record<string, unknown>>;

/** Longer lists are cut: Lambda refuses an answer of more than 6 MB. */
const MAX_BODY_BYTES = 5_500_000;

const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  LOCKED: 409,
  LOCK_TIMEOUT: 409,
  OUT_OF_ORDER: 422,
  MODIFIED: 422,
  AHEAD: 422,
  LEDGER_SPLIT: 422,
  UNREACHABLE: 503,
  CONNECT_TIMEOUT: 503,
  ENDPOINT_UNAVAILABLE: 503,
  CONNECTION_LOST: 503,
  DEADLINE: 504,
};

/** Function URL, API Gateway HTTP API (payload 2.0) and REST API (1.0), and Application Load Balancer. */
export const http: EventSource<HttpEvent> = {
  name: "http",

  matches(event): event is HttpEvent {
    if (!isRecord(event) || !isRecord(event.requestContext)) return false;
    return typeof event.httpMethod === "string" || isRecord(event.requestContext.http);
  },

  toRequest(event) {
    const method = methodOf(event);
    const path = pathOf(event).replace(/\/+$/, "");
    const action = path.endsWith("/migrations/plan")
      ? "plan"
      : path.endsWith("/migrations")
        ? { GET: "status", POST: "up" }[method]
        : undefined;
    if (!/\/migrations(\/plan)?$/.test(path)) {
      throw new MigratorError(
        "NOT_FOUND",
        "There is no such path. POST /migrations applies, GET /migrations and GET /migrations/plan ask.",
      );
    }
    if (action === undefined || (action === "plan" && method !== "GET")) {
      throw new MigratorError(
        "METHOD_NOT_ALLOWED",
        `${method} is not allowed here. ${allowOf(path)} is.`,
      );
    }
    const fields = method === "GET" ? queryOf(event) : bodyOf(event);
    if (fields.action !== undefined && fields.action !== action) {
      throw new MigratorError(
        "REQUEST_INVALID",
        `The path means ${action}, the request says otherwise.`,
      );
    }
    return parseRequest({ ...fields, action });
  },

  respond(event, report) {
    const status = report === null ? 204 : statusOf(report);
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "cache-control": "no-store",
      ...(status === 405 ? { allow: allowOf(pathOf(event).replace(/\/+$/, "")) } : {}),
      ...(status === 503 ? { "retry-after": "5" } : {}),
    };
    const shape =
      isRecord(event.multiValueHeaders) && isLoadBalancer(event)
        ? {
            multiValueHeaders: Object.fromEntries(
              Object.entries(headers).map(([k, v]) => [k, [v]]),
            ),
          }
        : { headers };
    const body = bodyFor(report);
    return Promise.resolve({ statusCode: status, ...shape, isBase64Encoded: false, body });
  },
};

function statusOf(report: Report): number {
  return report.error === undefined ? 200 : (STATUS[report.error.code] ?? 500);
}

function bodyFor(report: Report | null): string {
  const body = JSON.stringify(report);
  if (report === null || Buffer.byteLength(body) <= MAX_BODY_BYTES) return body;
  const { applied, pending, notices, drift } = report;
  const count = applied.length + pending.length + notices.length + drift.unknown.length;
  const message = `The report was too long for its caller: lists of ${count} entries were cut to 100 each.`;
  return JSON.stringify({
    ...report,
    applied: applied.slice(-100),
    pending: pending.slice(0, 100),
    notices: notices.slice(0, 100),
    drift: { ...drift, unknown: drift.unknown.slice(-100) },
    warnings: [...report.warnings, { code: "REPORT_SHORTENED", message }],
  });
}

function allowOf(path: string): string {
  return path.endsWith("/plan") ? "GET" : "GET, POST";
}

function methodOf(event: HttpEvent): string {
  const context = event.requestContext;
  const method =
    isRecord(context) && isRecord(context.http) ? context.http.method : event.httpMethod;
  return typeof method === "string" ? method.toUpperCase() : "";
}

function pathOf(event: HttpEvent): string {
  const path = typeof event.rawPath === "string" ? event.rawPath : event.path;
  return typeof path === "string" ? path : "";
}

function isLoadBalancer(event: HttpEvent): boolean {
  return isRecord(event.requestContext) && isRecord(event.requestContext.elb);
}

function queryOf(event: HttpEvent): Readonly<Record<string, unknown>> {
  if (isRecord(event.queryStringParameters)) return event.queryStringParameters;
  const multi = event.multiValueQueryStringParameters;
  if (!isRecord(multi)) return {};
  return Object.fromEntries(
    Object.entries(multi).map(([key, values]) => [
      key,
      Array.isArray(values) ? values.at(-1) : values,
    ]),
  );
}

function bodyOf(event: HttpEvent): Readonly<Record<string, unknown>> {
  if (typeof event.body !== "string" || event.body.trim() === "") return {};
  const text =
    event.isBase64Encoded === true ? Buffer.from(event.body, "base64").toString() : event.body;
  const value = parseJson(text);
  if (isRecord(value)) return value;
  throw new MigratorError(
    "REQUEST_INVALID",
    "The body is not a JSON object. Send none to apply what is pending.",
  );
}

function parseJson(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
