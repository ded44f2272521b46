import { createHash } from "node:crypto";
import { MigratorError } from "../errors.ts";
import type { Report } from "../report.ts";
import { parseRequest } from "../request.ts";
import { attributesOf, reasonOf } from "./outcome.ts";
import { withPatience } from "./patience.ts";
import { type EventSource, type InvocationContext, isRecord } from "./source.ts";

type CustomResourceEvent = Readonly<Record<string, unknown>>;

/** CloudFormation refuses a longer answer ("Response object is too long"). */
const MAX_RESPONSE_BYTES = 4_096;
const MAX_REASON_LENGTH = 1_000;
const MAX_PUTS = 6;
const PUT_TIMEOUT_MS = 10_000;

/** A custom resource, answered by us or by CDK's Provider framework, whichever was asked. */
export const cloudformation: EventSource<CustomResourceEvent> = {
  name: "cloudformation",

  matches(event): event is CustomResourceEvent {
    return isRecord(event) && typeof event.RequestType === "string" && "LogicalResourceId" in event;
  },

  toRequest(event) {
    // Nothing of the event is read on Delete: old properties, invented ids and a database that is gone are fine.
    if (event.RequestType === "Delete") return null;
    if (event.RequestType !== "Create" && event.RequestType !== "Update") {
      throw new MigratorError(
        "UNSUPPORTED_EVENT",
        "CloudFormation's request type is none of Create, Update and Delete.",
      );
    }
    const request = parseRequest(withPatience(event.ResourceProperties));
    if (request.action !== "up") {
      throw new MigratorError(
        "REQUEST_INVALID",
        "A custom resource applies migrations: leave action out.",
      );
    }
    // A rollback is an Update by older code, which nothing tells from another one: refused, it leaves the stack stuck.
    return event.RequestType === "Update" ? { ...request, ahead: "warn" } : request;
  },

  async respond(event, report, context, deadline) {
    const answer = answerTo(event, report, context);
    if (!isDirect(event, context)) {
      if (answer.Status === "FAILED") {
        throw new MigratorError(report?.error?.code ?? "INTERNAL", answer.Reason);
      }
      return { PhysicalResourceId: answer.PhysicalResourceId, Data: answer.Data };
    }
    await put(event.ResponseURL, JSON.stringify(answer), deadline);
    return { answered: true };
  },
};

/** Our own ARN as the service token: nobody stands in between, and the reply is ours to send. */
function isDirect(event: CustomResourceEvent, { invokedFunctionArn }: InvocationContext): boolean {
  const plain = (arn: unknown) => text(arn).replace(/:\$LATEST$/, "");
  return plain(event.ServiceToken) === plain(invokedFunctionArn);
}

function answerTo(event: CustomResourceEvent, report: Report | null, context: InvocationContext) {
  const failed = report?.status === "failed";
  const answer = {
    Status: failed ? "FAILED" : "SUCCESS",
    Reason: failed ? reasonOf(report, context, MAX_REASON_LENGTH) : "",
    PhysicalResourceId: physicalId(event),
    StackId: text(event.StackId),
    RequestId: text(event.RequestId),
    LogicalResourceId: text(event.LogicalResourceId),
    Data: attributesOf(report, context),
  };
  const excess = Buffer.byteLength(JSON.stringify(answer)) - MAX_RESPONSE_BYTES;
  return excess <= 0 ? answer : { ...answer, Reason: cutBytes(answer.Reason, excess + 8) };
}

/** Never changes over a resource's life: a changed one would make CloudFormation delete the "old" one. */
function physicalId(event: CustomResourceEvent): string {
  const present = text(event.PhysicalResourceId);
  if (present !== "") return present;
  const stack = createHash("sha256").update(text(event.StackId)).digest("hex").slice(0, 12);
  return `neon-migrations-${text(event.LogicalResourceId)}-${stack}`;
}

function cutBytes(value: string, bytes: number): string {
  const kept = Buffer.from(value).subarray(0, Math.max(Buffer.byteLength(value) - bytes, 0));
  return `${kept.toString().replace(/\uFFFD+$/, "")}…`;
}

/**
 * Sends the answer.
 * @throws MigratorError `INTERNAL`, without the URL (a secret), so that Lambda counts an error: nobody
 *   else would learn that the stack is left waiting
 */
async function put(url: unknown, body: string, deadline: number): Promise<void> {
  let last = "no attempt was made";
  for (let attempt = 1; attempt <= MAX_PUTS; attempt += 1) {
    // Near the deadline half of the time is kept for another attempt: a connection may simply go silent.
    const timeoutMs = Math.min(PUT_TIMEOUT_MS, (deadline - Date.now()) / 2);
    last = await putOnce(text(url), Buffer.from(body), timeoutMs);
    if (last === "") return;
    const pauseMs = 500 * 2 ** attempt * (0.5 + Math.random() / 2);
    if (attempt === MAX_PUTS || Date.now() + pauseMs >= deadline) break;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new MigratorError("INTERNAL", `CloudFormation could not be answered: ${last}.`);
}

/** Returns what went wrong; an empty text if nothing did. */
async function putOnce(url: string, body: Buffer, timeoutMs: number): Promise<string> {
  try {
    const status = await statusOfPut(url, body, timeoutMs);
    return status < 300 ? "" : `the answer to the PUT was ${status}`;
  } catch {
    return "the PUT did not get through";
  }
}

/**
 * No `fetch`: where the connection is reset as soon as it is made, its promise sometimes never settles
 * (Node 20.20), and with nothing left to wait for the process ends without an answer. No content-type
 * either: it would break the signature.
 */
function statusOfPut(url: string, body: Buffer, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    // Imported, `node:http` would make every start of the function load Node's whole `fetch` (a third of it).
    const protocol = url.startsWith("http:") ? "node:http" : "node:https";
    const sending = process.getBuiltinModule(protocol).request(url, {
      method: "PUT",
      headers: { "content-length": body.length },
      agent: false,
      signal: AbortSignal.timeout(Math.max(Math.floor(timeoutMs), 100)),
    });
    sending.on("error", reject);
    sending.on("response", ({ statusCode = 500 }) => {
      resolve(statusCode);
      sending.destroy();
    });
    sending.end(body);
  });
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
