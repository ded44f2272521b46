import { MigratorError } from "../errors.ts";
import { asRecord, asText, isRecord, namesTwice, parseJson } from "../json.ts";
import { parseRequest } from "../request.ts";
import { refuseUnknown } from "../unknown-fields.ts";
import type { Caller } from "./caller.ts";
import { nextCallBy, readContinuation, remainderOf, withPatience } from "./continuation.ts";

/** The part of a job that CodePipeline calls its data. */
type JobData = Readonly<Record<string, unknown>>;

/** The words that stand for a whole request in `UserParameters`. */
const ACTIONS = ["up", "plan", "status"];

/**
 * A Lambda action of CodePipeline. It is invoked asynchronously: what the function returns or throws goes
 * nowhere, and without a call to its API the action hangs until it times out. The event carries
 * credentials for the pipeline's artifacts: we read nothing of it but id, UserParameters and token.
 */
export function codepipeline(event: unknown): Caller | null {
  const { id, data } = asRecord(asRecord(event)["CodePipeline.job"]);
  if (typeof id !== "string" || !isRecord(data)) return null;
  const requestIn = () => parseRequest(withPatience(parametersIn(data)));
  const continuationIn = (now: number) =>
    readContinuation(parseJson(asText(data.continuationToken)), now);
  return {
    source: "codepipeline",
    request() {
      const now = Date.now();
      return remainderOf(requestIn(), continuationIn(now), now);
    },
    /** A job goes on in another call rather than fail for want of time; CodePipeline ends it after a day. */
    nextCall: nextCallBy(requestIn, continuationIn),
    prepare: loadBoth,
    respond: async (end) =>
      (await import("./on-use.ts")).answerJob(id, continuationIn(Date.now()), end),
  };
}

/** Loads the answer and AWS' client. */
function loadBoth() {
  return Promise.all([import("./on-use.ts"), import("@aws-sdk/client-codepipeline")]);
}

/** `UserParameters` is one text: a JSON object, an action, or nothing. */
function parametersIn({ actionConfiguration }: JobData): unknown {
  const { configuration } = asRecord(actionConfiguration);
  const parameters = asRecord(configuration).UserParameters ?? "";
  const words = asText(parameters).trim();
  if (words === "" && typeof parameters === "string") return {};
  if (ACTIONS.includes(words)) return { action: words };
  const value = parseJson(words);
  if (isRecord(value) && !namesTwice(words, value)) {
    refuseUnknown(value);
    return value;
  }
  throw new MigratorError(
    "REQUEST_INVALID",
    'The action\'s UserParameters are neither a JSON object that names each field once, nor one of up, plan and status. Example: {"transaction":"each"}.',
  );
}
