import { MigratorError } from "../../errors.ts";
import { asRecord, asText, isRecord, namesTwice, parseJson } from "../../json.ts";
import { parseRequest, type Request, requestKey } from "../../request.ts";
import { refuseUnknown } from "../../unknown-fields.ts";
import type { Caller } from "../caller.ts";
import { httpAnswer, reportAnswer } from "./answer.ts";
import { type HttpEvent, isHttpEvent, methodOf, pathOf, queryOf, wantsPage } from "./event.ts";

type Route = "/" | "/migrations" | "/migrations/plan" | "/migrations/rehearsal";

/** The end of a path. A stage or a base path may stand before it. */
const ROUTE = /(\/migrations(?:\/plan|\/rehearsal)?)\/*$/;

const ACTIONS: ReadonlyMap<string, Request["action"]> = new Map([
  ["POST /migrations", "up"],
  ["GET /migrations", "status"],
  ["GET /", "status"],
  ["GET /migrations/plan", "plan"],
  ["POST /migrations/rehearsal", "rehearse"],
]);

const ALLOWED: Readonly<Record<Route, string>> = {
  "/": "GET",
  "/migrations": "GET, POST",
  "/migrations/plan": "GET",
  "/migrations/rehearsal": "POST",
};

const ROUTES: readonly Route[] = ["/migrations", "/migrations/plan", "/migrations/rehearsal"];

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** A call over HTTP: of a Function URL, API Gateway's HTTP API (payload 2.0) or REST API (1.0), or a load balancer. */
export function http(event: unknown): Caller | null {
  if (!isHttpEvent(event)) return null;
  return {
    source: "http",
    request: () => httpRequest(event),
    async respond({ report, call }) {
      if (report === null) return httpAnswer(event, { status: 204, headers: {}, body: null });
      const answer = reportAnswer(report, ALLOWED[routeOf(event) ?? "/migrations"]);
      if (!wantsPage(event)) return httpAnswer(event, answer);
      const { pageAnswer } = await import("./page-answer.ts");
      return httpAnswer(event, await pageAnswer(event, report, { call, answer }));
    },
  };
}

/** Reads the request in an HTTP call. @throws MigratorError for a call that makes none */
export function httpRequest(event: HttpEvent): Request {
  const method = methodOf(event);
  const route = routeOf(event);
  if (route === null) {
    throw new MigratorError(
      "NOT_FOUND",
      "There is no such path. POST /migrations applies, POST /migrations/rehearsal tries it on a branch; GET /migrations, GET /migrations/plan and GET /migrations/runs/{id} only ask.",
    );
  }
  const action = ACTIONS.get(`${method} ${route}`);
  if (action === undefined) {
    throw new MigratorError(
      "METHOD_NOT_ALLOWED",
      `This method is not allowed here. Use ${ALLOWED[route]}.`,
    );
  }
  const fields = method === "GET" ? queryOf(event) : postedFields(event);
  if (fields.action !== undefined && fields.action !== action) {
    throw new MigratorError(
      "REQUEST_INVALID",
      `The path means ${action}, the request says otherwise.`,
    );
  }
  refuseUnknown(fields, method === "GET" ? signatureIn(fields) : []);
  return parseRequest({ ...fields, action });
}

function routeOf(event: HttpEvent): Route | null {
  const path = pathOf(event);
  const found = ROUTE.exec(path)?.[1];
  // Whoever does not ask for a page there may be a health check, which must not wake a database.
  if (found === undefined) return wantsPage(event) && isRoot(event, path) ? "/" : null;
  return ROUTES.find((route) => route === found) ?? null;
}

/** Whether a path is the root. Some gateways put the stage before it. */
function isRoot({ requestContext }: HttpEvent, path: string): boolean {
  const bare = path.replace(/\/+$/, "");
  return bare === "" || bare === `/${asText(asRecord(requestContext).stage)}`;
}

/** The fields of the body. A field of ours in the query is refused: left alone, `POST …?action=plan` would apply. */
function postedFields(event: HttpEvent): Readonly<Record<string, unknown>> {
  const query = queryOf(event);
  refuseUnknown(query, signatureIn(query));
  const misplaced = Object.keys(query).map(requestKey).find(Boolean);
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
    "The body is not a JSON object that names each field once. Send none to apply what is pending.",
  );
}

/** The names of the parameters by which a URL is signed (AWS Signature Version 4). */
function signatureIn(query: object): readonly string[] {
  return Object.keys(query).filter((name) => /^x-amz-/i.test(name));
}

/** The value of the body; undefined for a body that is not JSON text, or names a field twice. */
function bodyOf({ body, isBase64Encoded }: HttpEvent): unknown {
  if (body === undefined || body === null) return {};
  if (typeof body !== "string") return undefined;
  // Node decodes what it can and drops the rest: garbage would become an empty body, which applies.
  if (isBase64Encoded === true && !BASE64.test(body)) return undefined;
  const text = isBase64Encoded === true ? Buffer.from(body, "base64").toString() : body;
  if (text.trim() === "") return {};
  const value = parseJson(text);
  return isRecord(value) && namesTwice(text, value) ? undefined : value;
}
