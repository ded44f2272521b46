import { MigratorError } from "../../errors.ts";
import { isRecord } from "../../json.ts";
import { parseRequest, type Request, requestKey } from "../../request.ts";
import type { EventSource } from "../caller.ts";
import { httpAnswer, reportAnswer } from "./answer.ts";
import { type HttpEvent, methodOf, pathOf, queryOf } from "./event.ts";

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

/** API Gateway asks its authorizers about a call in the shape of the call itself. */
function isAuthorization(event: HttpEvent): boolean {
  return "methodArn" in event || "routeArn" in event;
}

function routeOf(event: HttpEvent): Route | null {
  const found = ROUTE.exec(pathOf(event));
  if (found === null) return null;
  return found[1] === undefined ? "/migrations" : "/migrations/plan";
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
