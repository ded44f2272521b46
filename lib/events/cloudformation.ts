import { createHash } from "node:crypto";
import { MigratorError } from "../errors.ts";
import { asRecord, asText, isRecord } from "../json.ts";
import type { Report } from "../report/report.ts";
import { parseRequest, type Request } from "../request.ts";
import { refuseMistyped } from "../unknown-fields.ts";
import type { Call, Caller, End, InvocationContext } from "./caller.ts";
import { withPatience } from "./continuation.ts";
import { findOther } from "./other-bundle.ts";
import { put, refuseForeignUrl } from "./response-url.ts";
import type { Stale } from "./stale.ts";
import { attributesOf, reasonOf } from "./summary.ts";

/** An event that was recognised. */
type CustomResourceEvent = Readonly<Record<string, unknown>>;

/** CloudFormation refuses a longer answer ("Response object is too long"). */
const MAX_RESPONSE_BYTES = 4_096;

/** The lengths at which the reason is tried, in characters, until the answer as a whole is short enough. */
const REASON_LENGTHS = [1_000, 500, 200, 50, 0];

/** The properties that CloudFormation and our construct set. Others are left alone: people add some to force an Update. */
const OWN_PROPERTIES = [
  "ServiceToken",
  "ServiceTimeout",
  "MigrationsHash",
  "Database",
  "SynthesisedAt",
];

/** A custom resource. We answer it ourselves, or CDK's Provider framework does, if that was invoked. */
export function cloudformation(event: unknown): Caller | null {
  if (!isRecord(event) || typeof event.RequestType !== "string") return null;
  if (!("LogicalResourceId" in event)) return null;
  let stale: Stale | null = null;
  return {
    source: "cloudformation",
    request: async (call) => {
      if (isDirect(event, call.context)) refuseForeignUrl(asText(event.ResponseURL));
      const other = await otherBundle(event, call);
      if (other === null) return await inTime(event, requestIn(event), call.context);
      if (other === "taken back") return null;
      stale = other;
      throw stale.error;
    },
    nextCall: () => stale?.next ?? null,
    respond: (end) => {
      // The call fails, so that Lambda delivers the event again.
      if (end.next !== null) throw stale?.error;
      return respond(event, end);
    },
  };
}

/** @throws MigratorError for a request that cannot be served */
function requestIn(event: CustomResourceEvent): Request | null {
  const { RequestType, ResourceProperties } = event;
  // Nothing of the event is read on Delete: old properties, invented ids and a database that is gone are fine.
  if (RequestType === "Delete") return null;
  if (RequestType !== "Create" && RequestType !== "Update") {
    throw new MigratorError(
      "UNSUPPORTED_EVENT",
      "CloudFormation's request type is none of Create, Update and Delete.",
    );
  }
  // A stack may go back to properties that were taken before, and must not get stuck by it.
  const tolerated =
    RequestType === "Update" ? Object.keys(asRecord(event.OldResourceProperties)) : [];
  refuseMistyped(asRecord(ResourceProperties), [...OWN_PROPERTIES, ...tolerated]);
  const request = parseRequest(withPatience(ResourceProperties));
  if (request.action !== "up") {
    throw new MigratorError(
      "REQUEST_INVALID",
      "A custom resource applies migrations: leave action out.",
    );
  }
  // A rollback is an Update by older code, which nothing tells from another one: refused, it leaves the stack stuck.
  return RequestType === "Update" ? { ...request, ahead: "warn" } : request;
}

/** Lets a run that we answer ourselves end while CloudFormation still waits for it. */
async function inTime(
  event: CustomResourceEvent,
  request: Request | null,
  context: InvocationContext,
): Promise<Request | null> {
  const waits = "ServiceTimeout" in asRecord(event.ResourceProperties);
  if (request === null || !waits || !isDirect(event, context)) return request;
  const { withinService } = await import("./on-use.ts");
  return withinService(event, request, context);
}

/** Looks whether the deployment's bundle is ours. It comes first: code that is behind may not even know the properties. */
async function otherBundle(event: CustomResourceEvent, call: Call) {
  if (event.RequestType !== "Create" && event.RequestType !== "Update") return null;
  const other = await findOther(asRecord(event.ResourceProperties).MigrationsHash, call);
  const { context } = call;
  return other?.readOther(event, context, other.ours, isDirect(event, context)) ?? null;
}

async function respond(event: CustomResourceEvent, { report, call }: End): Promise<object> {
  const answer = answerTo(event, report, call.context);
  if (isDirect(event, call.context)) {
    await put(asText(event.ResponseURL), JSON.stringify(answer), call.answerBy);
    return { answered: true };
  }
  const { Status, Reason, PhysicalResourceId, Data } = answer;
  if (Status === "SUCCESS") return { PhysicalResourceId, Data };
  const failed = new MigratorError(report?.error?.code ?? "INTERNAL", Reason);
  // The framework puts the stack into its answer, which has no room for it.
  failed.stack = "";
  throw failed;
}

/** Whether our own ARN is the service token: then nobody stands in between, and the reply is ours to send. */
function isDirect(event: CustomResourceEvent, { invokedFunctionArn }: InvocationContext): boolean {
  const plain = (arn: unknown) => asText(arn).replace(/:\$LATEST(?:\.PUBLISHED)?$/, "");
  return plain(event.ServiceToken) === plain(invokedFunctionArn);
}

function answerTo(event: CustomResourceEvent, report: Report | null, context: InvocationContext) {
  const failed = report?.status === "failed";
  const answer = {
    Status: failed ? "FAILED" : "SUCCESS",
    Reason: "",
    PhysicalResourceId: physicalId(event),
    StackId: asText(event.StackId),
    RequestId: asText(event.RequestId),
    LogicalResourceId: asText(event.LogicalResourceId),
    Data: attributesOf(report, context),
  };
  if (!failed) return answer;
  const bytes = (Reason: string) => Buffer.byteLength(JSON.stringify({ ...answer, Reason }));
  const reasons = REASON_LENGTHS.map((length) => reasonOf(report, context, length));
  const Reason = reasons.find((each) => bytes(each) <= MAX_RESPONSE_BYTES) ?? reasons.at(-1) ?? "";
  return { ...answer, Reason };
}

/** The id never changes over a resource's life: a changed one would make CloudFormation delete the "old" resource. */
function physicalId(event: CustomResourceEvent): string {
  const present = asText(event.PhysicalResourceId);
  if (present !== "") return present;
  const stack = createHash("sha256").update(asText(event.StackId)).digest("hex").slice(0, 12);
  return `neon-migrations-${asText(event.LogicalResourceId)}-${stack}`;
}
