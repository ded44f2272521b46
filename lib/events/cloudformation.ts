import { createHash } from "node:crypto";
import { MigratorError } from "../errors.ts";
import { isRecord } from "../json.ts";
import type { Report } from "../report/report.ts";
import { parseRequest } from "../request.ts";
import type { EventSource, InvocationContext } from "./caller.ts";
import { withPatience } from "./continuation.ts";
import { put } from "./response-url.ts";
import { attributesOf, reasonOf } from "./summary.ts";

type CustomResourceEvent = Readonly<Record<string, unknown>>;

/** CloudFormation refuses a longer answer ("Response object is too long"). */
const MAX_RESPONSE_BYTES = 4_096;

/** How long a sentence may be, in characters: as long as the whole answer fits, its other parts being what they are. */
const REASON_LENGTHS = [1_000, 500, 200, 50, 0];
/** A custom resource, answered by us or by CDK's Provider framework, whichever was asked. */
export const cloudformation: EventSource<CustomResourceEvent> = {
  name: "cloudformation",

  matches(event): event is CustomResourceEvent {
    return isRecord(event) && typeof event.RequestType === "string" && "LogicalResourceId" in event;
  },

  undone({ RequestType, ResourceProperties, OldResourceProperties }) {
    if (RequestType !== "Update") return null;
    const [from, to] = [hashIn(OldResourceProperties), hashIn(ResourceProperties)];
    return from === to ? null : { from, to };
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
        const failed = new MigratorError(report?.error?.code ?? "INTERNAL", answer.Reason);
        // The framework puts the stack into its answer, which has no room for it.
        failed.stack = "";
        throw failed;
      }
      return { PhysicalResourceId: answer.PhysicalResourceId, Data: answer.Data };
    }
    await put(text(event.ResponseURL), JSON.stringify(answer), deadline);
    return { answered: true };
  },
};

function hashIn(properties: unknown): string {
  return isRecord(properties) ? text(properties.MigrationsHash) : "";
}

/** Our own ARN as the service token: nobody stands in between, and the reply is ours to send. */
function isDirect(event: CustomResourceEvent, { invokedFunctionArn }: InvocationContext): boolean {
  const plain = (arn: unknown) => text(arn).replace(/:\$LATEST$/, "");
  return plain(event.ServiceToken) === plain(invokedFunctionArn);
}

function answerTo(event: CustomResourceEvent, report: Report | null, context: InvocationContext) {
  const failed = report?.status === "failed";
  const answer = {
    Status: failed ? "FAILED" : "SUCCESS",
    Reason: "",
    PhysicalResourceId: physicalId(event),
    StackId: text(event.StackId),
    RequestId: text(event.RequestId),
    LogicalResourceId: text(event.LogicalResourceId),
    Data: attributesOf(report, context),
  };
  if (!failed) return answer;
  const bytes = (Reason: string) => Buffer.byteLength(JSON.stringify({ ...answer, Reason }));
  const reasons = REASON_LENGTHS.map((length) => reasonOf(report, context, length));
  const Reason = reasons.find((each) => bytes(each) <= MAX_RESPONSE_BYTES) ?? reasons.at(-1) ?? "";
  return { ...answer, Reason };
}

/** Never changes over a resource's life: a changed one would make CloudFormation delete the "old" one. */
function physicalId(event: CustomResourceEvent): string {
  const present = text(event.PhysicalResourceId);
  if (present !== "") return present;
  const stack = createHash("sha256").update(text(event.StackId)).digest("hex").slice(0, 12);
  return `neon-migrations-${text(event.LogicalResourceId)}-${stack}`;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
