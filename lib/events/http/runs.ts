import { MigratorError } from "../../errors.ts";
import { asRecord } from "../../json.ts";
import { RUN_ID } from "../../queued-runs/invoke-itself.ts";
import type { RunRecord } from "../../queued-runs/record.ts";
import type { Report } from "../../report/report.ts";
import type { Call, Caller } from "../caller.ts";
import { type HttpAnswer, httpAnswer, reportAnswer } from "./answer.ts";
import {
  type HttpEvent,
  headerValues,
  isHttpEvent,
  methodOf,
  pathOf,
  prefersAsync,
} from "./event.ts";
import { httpRequest } from "./http.ts";
import { callerOf } from "./identity.ts";

/** The path of one run. The part before it belongs to the gateway. */
const RUN_ROUTE = /^(.*\/migrations)\/runs\/([^/]+)\/*$/;

/** The characters that no base path has, and no header should have. */
const UNUSUAL = /[^\w\-.~%$@+/]/g;
/** The time for the work on one call. API Gateway gives up after 29 s: before that we answer that the database is not reachable. */
const BUDGET_MS = 20_000;
/** The time for connecting. A caller waits: an early refusal is better than a late success. */
const CONNECT_TIMEOUT_MS = 10_000;
/** The seconds after which a caller may ask again for a run that is not over. */
const RETRY_AFTER_S = "2";

/**
 * A call about a run that outlives its call: `POST /migrations` with `Prefer: respond-async` begins one, and
 * `GET /migrations/runs/{id}` tells of it. Neither runs anything here. The files they need load only for them.
 */
export function httpRuns(event: unknown): Caller | null {
  if (!isHttpEvent(event)) return null;
  const id = runIn(event);
  if (id === null && !wantsAsync(event)) return null;
  return {
    source: "http",
    request() {
      if (id === null) httpRequest(event);
      else if (methodOf(event) !== "GET") {
        throw new MigratorError("METHOD_NOT_ALLOWED", "This method is not allowed here. GET is.");
      } else if (!RUN_ID.test(id)) {
        throw new MigratorError(
          "RUN_NOT_FOUND",
          "There is no such run: this is not the id of one.",
        );
      }
      return null;
    },
    async respond({ report, call }) {
      const outcome = report ?? (await serve(event, id, call));
      const answer = "status" in outcome ? reportAnswer(outcome, "GET") : recordAnswer(id, outcome);
      return httpAnswer(event, answer);
    },
  };
}

function recordAnswer(asked: string | null, record: RunRecord): HttpAnswer {
  const over = record.state === "finished" || record.state === "lost";
  const later: Record<string, string> = over ? {} : { "retry-after": RETRY_AFTER_S };
  if (asked !== null) return { status: 200, headers: later, body: record };
  const headers = { ...later, location: record.statusUrl, "preference-applied": "respond-async" };
  return { status: 202, headers, body: record };
}

async function serve(
  event: HttpEvent,
  asked: string | null,
  { context, log, answerBy, target, failed }: Call,
): Promise<RunRecord | Report> {
  try {
    const found = await target();
    const connectTimeoutMs = Math.min(found.connectTimeoutMs, CONNECT_TIMEOUT_MS);
    const hurried = { ...found, connectTimeoutMs };
    const deadline = Math.min(answerBy, Date.now() + BUDGET_MS);
    const dependencies = { requestId: context.awsRequestId, log, deadline };
    const statusUrlOf = (id: string) => `${publicPath(event)}/runs/${id}`;
    const { findRun, startRun } = await import("../../queued-runs/queued-runs.ts");
    if (asked !== null) return await findRun(asked, statusUrlOf(asked), hurried, dependencies);
    const wanted = {
      ...{ request: httpRequest(event), requestedBy: callerOf(event), statusUrlOf },
      ...{ functionArn: context.invokedFunctionArn, reportOf: failed },
    };
    return await startRun(wanted, hurried, dependencies);
  } catch (thrown) {
    return failed(thrown);
  }
}

function wantsAsync(event: HttpEvent): boolean {
  return (
    methodOf(event) === "POST" &&
    /\/migrations\/*$/.test(pathOf(event)) &&
    prefersAsync(headerValues(event, "prefer"))
  );
}

/** The id of the run that a call asks about, well-formed or not. */
function runIn(event: HttpEvent): string | null {
  return RUN_ROUTE.exec(pathOf(event))?.[2] ?? null;
}

/** The path of `/migrations` as its caller sees it: REST APIs hide the stage from `path`, but not here. */
function publicPath(event: HttpEvent): string {
  const context = asRecord(event.requestContext);
  const staged = String(context.domainName).endsWith(".amazonaws.com") ? context.path : undefined;
  const path = typeof staged === "string" ? staged : pathOf(event);
  const found = RUN_ROUTE.exec(path)?.[1] ?? path.replace(/\/+$/, "");
  return found.replaceAll(UNUSUAL, "").replace(/^\/+/, "/");
}
