import { MigratorError } from "../../errors.ts";
import { asRecord } from "../../json.ts";
import { findRun } from "../../queued-runs/find-run.ts";
import type { RunRecord } from "../../queued-runs/record.ts";
import { startRun } from "../../queued-runs/start-run.ts";
import type { Call } from "../caller.ts";
import { type HttpAnswer, reportAnswer } from "./answer.ts";
import { type HttpEvent, pathOf, RUN_ROUTE } from "./event.ts";
import { httpRequest } from "./http.ts";
import { callerOf } from "./identity.ts";

/** The characters that no base path has, and no header should have. */
const UNUSUAL = /[^\w\-.~%$@+/]/g;
/** The time for the work on one call. API Gateway gives up after 29 s: before that we say what is not reachable. */
const BUDGET_MS = 20_000;
/** The time for connecting. A caller waits: an early refusal is better than a late success. */
const CONNECT_TIMEOUT_MS = 10_000;
/** The seconds after which a caller may ask again for a run that is not over. */
const RETRY_AFTER_S = "2";

/**
 * Begins a run, or tells of one. This file loads for such calls alone.
 * @param asked the id of the run to tell of; null begins one
 */
export async function serveRun(
  event: HttpEvent,
  asked: string | null,
  call: Call,
): Promise<HttpAnswer> {
  try {
    const record = await recordOf(event, asked, call);
    const over = record.state === "finished" || record.state === "lost";
    const later: Record<string, string> = over ? {} : { "retry-after": RETRY_AFTER_S };
    if (asked !== null) return { status: 200, headers: later, body: record };
    const headers = { ...later, location: record.statusUrl, "preference-applied": "respond-async" };
    return { status: 202, headers, body: record };
  } catch (thrown) {
    return reportAnswer(call.failed(thrown), "GET");
  }
}

async function recordOf(event: HttpEvent, asked: string | null, call: Call): Promise<RunRecord> {
  const { context, log, answerBy, failed } = call;
  const deadline = Math.min(answerBy, Date.now() + BUDGET_MS);
  const target = await call.target(asked === null ? deadline : 0);
  const connectTimeoutMs = Math.min(target.connectTimeoutMs, CONNECT_TIMEOUT_MS);
  const hurried = { ...target, connectTimeoutMs };
  const dependencies = { requestId: context.awsRequestId, log, deadline };
  const statusUrlOf = (id: string) => `${publicPath(event)}/runs/${id}`;
  if (asked !== null) return await findRun(asked, statusUrlOf(asked), hurried, dependencies);
  const request = httpRequest(event);
  // The row, with the request in it, would be written before anybody has looked at the target.
  if (request.target !== null) throw notQueued();
  const wanted = {
    ...{ request, requestedBy: callerOf(event), statusUrlOf },
    ...{ functionArn: context.invokedFunctionArn, reportOf: failed },
  };
  return await startRun(wanted, hurried, dependencies);
}

function notQueued(): MigratorError {
  return new MigratorError(
    "REQUEST_INVALID",
    "A queued run is for the function's own database, and the request names a target. Nothing was run; send it without Prefer: respond-async.",
  );
}

/** The path of `/migrations` as its caller sees it: REST APIs hide the stage from `path`, but not here. */
function publicPath(event: HttpEvent): string {
  const context = asRecord(event.requestContext);
  const staged = String(context.domainName).endsWith(".amazonaws.com") ? context.path : undefined;
  const path = typeof staged === "string" ? staged : pathOf(event);
  const found = RUN_ROUTE.exec(path)?.[1] ?? path.replace(/\/+$/, "");
  return found.replaceAll(UNUSUAL, "").replace(/^\/+/, "/");
}
