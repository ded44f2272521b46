import { type ErrorCode, MigratorError } from "../../errors.ts";
import { isRecord } from "../../json.ts";
import { fitReport } from "../../report/fit.ts";
import type { Report } from "../../report/report.ts";
import { parseRequest, type Request, requestKey } from "../../request.ts";
import type { EventSource } from "../caller.ts";

/** An HTTP call, as any of its gateways hands it on. */
export type HttpEvent = Readonly<Record<string, unknown>>;

type Route = "/migrations" | "/migrations/plan";

/** The end of a path; a stage or a base path may stand before it. */
const ROUTE = /\/migrations(\/plan)?\/*$/;

const ACTIONS: ReadonlyMap<string, Request["action"]> = new Map([
  ["POST /migrations", "up"],
  ["GET /migrations", "status"],
  ["GET /migrations/plan", "plan"],
]);

const ALLOWED: Readonly<Record<Route, string>> = {
  "/migrations": "GET, POST",
  "/migrations/plan": "GET",
};

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  NOT_FOUND: 404,
  RUN_NOT_FOUND: 404,
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
    if (!isRecord(event) || !isRecord(event.requestContext) || isAuthorization(event)) return false;
    return typeof event.httpMethod === "string" || isRecord(event.requestContext.http);
  },

  toRequest(event) {
    const method = methodOf(event);
    const route = routeOf(event);
    if (route === null) {
      throw new MigratorError(
        "NOT_FOUND",
        "There is no such path. POST /migrations applies, GET /migrations, GET /migrations/plan and GET /migrations/runs/{id} ask.",
      );
    }
    const action = ACTIONS.get(`${method} ${route}`);
    if (action === undefined) {
      throw new MigratorError(
        "METHOD_NOT_ALLOWED",
        `This method is not allowed here. ${ALLOWED[route]} is.`,
      );
    }
    const fields = method === "GET" ? queryOf(event) : postedFields(event);
    if (fields.action !== undefined && fields.action !== action) {
      throw new MigratorError(
        "REQUEST_INVALID",
        `The path means ${action}, the request says otherwise.`,
      );
    }
    return parseRequest({ ...fields, action });
  },

  respond(event, report) {
    const answer =
      report === null
        ? { status: 204, headers: {}, body: null }
        : reportAnswer(report, ALLOWED[routeOf(event) ?? "/migrations"]);
    return Promise.resolve(httpAnswer(event, answer));
  },
};

/** A report as an HTTP answer. @param allow the methods that its path takes */
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

/** What goes into an HTTP response. */
export interface HttpAnswer {
  readonly status: number;
  /** Beside those that every answer has. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object | null;
}

/** An answer in the form that the caller's gateway reads. */
export function httpAnswer(event: HttpEvent, { status, headers, body }: HttpAnswer): object {
  const all = { "content-type": "application/json", "cache-control": "no-store", ...headers };
  const multi = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]]));
  const shape =
    isRecord(event.multiValueHeaders) && isLoadBalancer(event)
      ? { multiValueHeaders: multi }
      : { headers: all };
  return { statusCode: status, ...shape, isBase64Encoded: false, body: JSON.stringify(body) };
}

/** Every value of a header, however it is spelled and however its gateway hands it on. */
export function headerValues(event: HttpEvent, name: string): readonly string[] {
  const headers = isRecord(event.multiValueHeaders) ? event.multiValueHeaders : event.headers;
  return Object.entries(isRecord(headers) ? headers : {})
    .filter(([key]) => key.toLowerCase() === name)
    .flatMap(([, value]) => value)
    .filter((value) => typeof value === "string");
}

/** API Gateway asks its authorizers about a call in the shape of the call itself. */
function isAuthorization(event: HttpEvent): boolean {
  return "methodArn" in event || "routeArn" in event;
}

/** Methods are case-sensitive, and AWS passes them on as they came. */
export function methodOf(event: HttpEvent): string {
  const context = event.requestContext;
  const method =
    isRecord(context) && isRecord(context.http) ? context.http.method : event.httpMethod;
  return typeof method === "string" ? method : "";
}

/** As the function sees it: without the stage, behind some gateways. */
export function pathOf({ rawPath, path }: HttpEvent): string {
  const found = rawPath ?? path;
  return typeof found === "string" ? found : "";
}

function routeOf(event: HttpEvent): Route | null {
  const found = ROUTE.exec(pathOf(event));
  if (found === null) return null;
  return found[1] === undefined ? "/migrations" : "/migrations/plan";
}

function isLoadBalancer(event: HttpEvent): boolean {
  return isRecord(event.requestContext) && isRecord(event.requestContext.elb);
}

function queryOf(event: HttpEvent): Readonly<Record<string, unknown>> {
  const single = event.queryStringParameters;
  const multi = event.multiValueQueryStringParameters;
  const last = Object.entries(isRecord(multi) ? multi : {}).map(([key, values]) => [
    key,
    Array.isArray(values) ? values.at(-1) : values,
  ]);
  return { ...Object.fromEntries(last), ...(isRecord(single) ? single : {}) };
}

/** The body's fields. One of ours in the query is refused: left alone, `POST …?action=plan` would apply. */
function postedFields(event: HttpEvent): Readonly<Record<string, unknown>> {
  const misplaced = Object.keys(queryOf(event)).map(requestKey).find(Boolean);
  if (misplaced !== undefined) {
    throw new MigratorError(
      "REQUEST_INVALID",
      `The query has ${misplaced}. Send it in the body of a POST, as JSON.`,
    );
  }
  const value = bodyOf(event);
  if (isRecord(value)) return value;
  throw new MigratorError(
    "REQUEST_INVALID",
    "The body is not a JSON object. Send none to apply what is pending.",
  );
}

/** What the body says; undefined for a body that is no JSON text. */
function bodyOf({ body, isBase64Encoded }: HttpEvent): unknown {
  if (body === undefined || body === null) return {};
  if (typeof body !== "string") return undefined;
  if (isBase64Encoded !== true) return parseJson(body);
  // Node decodes what it can and drops the rest: garbage would become an empty body, which applies.
  return BASE64.test(body) ? parseJson(Buffer.from(body, "base64").toString()) : undefined;
}

function parseJson(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
