import { MigratorError } from "../../errors.ts";
import { isRecord } from "../../json.ts";
import { createLog } from "../../log.ts";
import { RUN_ID } from "../../queued-runs/invoke-itself.ts";
import { runsDependencies, runsTarget } from "../../queued-runs/reach.ts";
import type { RunRecord } from "../../queued-runs/record.ts";
import { redact } from "../../report/redact.ts";
import { failedReport, type Report } from "../../report/report.ts";
import type { EventSource, InvocationContext } from "../caller.ts";
import { type HttpAnswer, httpAnswer, reportAnswer } from "./answer.ts";
import { type HttpEvent, headerValues, methodOf, pathOf, prefersAsync } from "./event.ts";
import { http } from "./http.ts";
import { callerOf } from "./identity.ts";

/** The path of one run; what stands before it is its gateway's. */
const RUN_ROUTE = /^(.*\/migrations)\/runs\/([^/]+)\/*$/;

/** What no base path has, and no header should. */
const UNUSUAL = /[^\w\-.~%$@+/]/g;
/** API Gateway gives up after 29 s: what has not come about by then is answered as not reachable. */
const BUDGET_MS = 20_000;
/** A caller waits: it is better told soon than let in late. */
const CONNECT_TIMEOUT_MS = 10_000;
/** How soon to ask again for a run that is not over, in seconds. */
const RETRY_AFTER_S = "2";

/**
 * The calls about runs that outlive their call: `POST /migrations` with `Prefer: respond-async` begins one, and
 * `GET /migrations/runs/{id}` tells of it. Neither runs anything here. What they need loads only for them.
 */
export const httpRuns: EventSource<HttpEvent> = {
  name: "http",

  matches(event): event is HttpEvent {
    return http.matches(event) && (runIn(event) !== null || wantsAsync(event));
  },

  toRequest(event, context) {
    const run = runIn(event);
    if (run === null) http.toRequest(event, context);
    else if (methodOf(event) !== "GET") {
      throw new MigratorError("METHOD_NOT_ALLOWED", "This method is not allowed here. GET is.");
    } else if (!RUN_ID.test(run.id)) {
      throw new MigratorError("RUN_NOT_FOUND", "There is no such run: this is not the id of one.");
    }
    return null;
  },

  async respond(event, report, context, deadline) {
    const outcome = report ?? (await serve(event, context, deadline));
    const answer =
      "status" in outcome ? reportAnswer(outcome, "GET") : recordAnswer(event, outcome);
    return httpAnswer(event, answer);
  },
};

function recordAnswer(event: HttpEvent, record: RunRecord): HttpAnswer {
  const over = record.state === "finished" || record.state === "lost";
  const later: Record<string, string> = over ? {} : { "retry-after": RETRY_AFTER_S };
  if (runIn(event) !== null) return { status: 200, headers: later, body: record };
  const headers = { ...later, location: record.statusUrl, "preference-applied": "respond-async" };
  return { status: 202, headers, body: record };
}

async function serve(
  event: HttpEvent,
  context: InvocationContext,
  deadline: number,
): Promise<RunRecord | Report> {
  const requestId = context.awsRequestId;
  const secrets: string[] = [];
  const reportOf = (thrown: unknown) => redact(failedReport(requestId, thrown), secrets);
  try {
    const target = await runsTarget();
    secrets.push(target.url);
    const dependencies = runsDependencies({
      ...{ requestId, log: createLog(requestId) },
      deadline: Math.min(deadline, Date.now() + BUDGET_MS),
    });
    const connectTimeoutMs = Math.min(target.connectTimeoutMs, CONNECT_TIMEOUT_MS);
    const hurried = { ...target, connectTimeoutMs };
    const statusUrlOf = (id: string) => `${publicPath(event)}/runs/${id}`;
    const { findRun, startRun } = await import("../../queued-runs/queued-runs.ts");
    const run = runIn(event);
    if (run !== null) return await findRun(run.id, statusUrlOf(run.id), hurried, dependencies);
    const request = http.toRequest(event, context);
    if (request === null) throw new Error("A POST to /migrations made no request.");
    const functionArn = context.invokedFunctionArn;
    const wanted = { request, functionArn, requestedBy: callerOf(event), statusUrlOf, reportOf };
    return await startRun(wanted, hurried, dependencies);
  } catch (thrown) {
    return reportOf(thrown);
  }
}

function wantsAsync(event: HttpEvent): boolean {
  return (
    methodOf(event) === "POST" &&
    /\/migrations\/*$/.test(pathOf(event)) &&
    prefersAsync(headerValues(event, "prefer"))
  );
}

function runIn(event: HttpEvent): { readonly id: string } | null {
  const id = RUN_ROUTE.exec(pathOf(event))?.[2];
  return id === undefined ? null : { id };
}

/** The path of `/migrations` as its caller sees it: REST APIs hide the stage from `path`, but not here. */
function publicPath(event: HttpEvent): string {
  const context = isRecord(event.requestContext) ? event.requestContext : {};
  const staged = String(context.domainName).endsWith(".amazonaws.com") ? context.path : undefined;
  const path = typeof staged === "string" ? staged : pathOf(event);
  const found = RUN_ROUTE.exec(path)?.[1] ?? path.replace(/\/+$/, "");
  return found.replaceAll(UNUSUAL, "").replace(/^\/+/, "/");
}
