import { type ErrorCode, MigratorError, toError } from "../../lib/errors.ts";

/** The reason why a call has no answer. */
export interface InvokeFailure {
  readonly error: MigratorError;
  /**
   * When the same call may be tried again: `soon` where the network may come back, `later` where Lambda has no room for
   * the function yet, `never` where the function may have started or another try changes nothing.
   */
  readonly again: "soon" | "later" | "never";
}

/** One kind of failure: its code, and its sentence from the function's name and AWS' own words. */
interface Kind {
  readonly code: ErrorCode;
  readonly again: InvokeFailure["again"];
  say(functionName: string, said: string): string;
}

const NO_REGION: Kind = {
  code: "AWS_SETTINGS_MISSING",
  again: "never",
  say: (_name, said) =>
    `The AWS SDK found no region (${said}). Set AWS_REGION, or name the function by its ARN. Nothing was run.`,
};
const NO_CREDENTIALS: Kind = {
  code: "AWS_SETTINGS_MISSING",
  again: "never",
  say: (_name, said) =>
    `The AWS SDK found no credentials (${said}). Set AWS_PROFILE, or give this job a role. Nothing was run.`,
};
const UNREACHABLE: Kind = {
  code: "FUNCTION_UNAVAILABLE",
  again: "soon",
  say: (_name, said) =>
    `Lambda could not be reached (${said}). Nothing was run. Check the region, and whether this network lets connections out.`,
};
const NOT_FOUND: Kind = {
  code: "FUNCTION_NOT_FOUND",
  again: "never",
  say: (_name, said) =>
    `Lambda does not know the function (${said}). Look at its name, its alias, the region and the account.`,
};
const NOT_YET: Kind = {
  code: "FUNCTION_UNAVAILABLE",
  again: "later",
  say: (name, said) => `Lambda has no room for ${name} now (${said}). Nothing was run.`,
};
const DENIED: Kind = {
  code: "FUNCTION_DENIED",
  again: "never",
  say: (name, said) =>
    `Lambda does not let these credentials call ${name} (${said}). They must still be valid, and need lambda:InvokeFunction on it. Nothing was run.`,
};
const NOT_STARTED: Kind = {
  code: "FUNCTION_UNAVAILABLE",
  again: "never",
  say: (name, said) => `Lambda does not start ${name} (${said}). Nothing was run.`,
};
const UNKNOWN: Kind = {
  code: "RUN_UNKNOWN",
  again: "never",
  say: (name, said) =>
    `The call ended without an answer (${said}). The function may be running still, and was not called again. ${lookWith(name)}`,
};

/**
 * Lambda's errors that pass by themselves, before the function starts (API reference, `Invoke`). The last one is that of a
 * function from a container image, while Lambda prepares the image.
 */
const PASSING =
  /^(?:(?:TooManyRequests|ResourceConflict|ResourceNotReady)Exception|CodeArtifactUserPending(?:Exception)?)$/;
/** Lambda's other errors from before the start. Their HTTP status is not that of a caller's mistake. */
const NEVER_STARTED = /^(?:EC2|ENI|EFS|KMS|S3Files|SnapStart|Subnet|Invalid)/;

/** Makes a failure of an error of the SDK, and says whether the function can have started. */
export function invokeFailure(thrown: unknown, functionName: string): InvokeFailure {
  const { name, message } = toError(thrown);
  const { code, again, say } = kindOf(thrown, name, message);
  // The SDK's own advice stands on the lines behind the first.
  const [what = ""] = message.split("\n", 1);
  const said = name === "Error" ? what : `${name}: ${what}`;
  const retryable = again !== "never" || code === "RUN_UNKNOWN";
  const text = say(functionName, said.replace(/[.\s]+$/, ""));
  return { error: new MigratorError(code, text, { cause: thrown, retryable }), again };
}

function kindOf(thrown: unknown, name: string, message: string): Kind {
  // The SDK gives these errors neither a name nor a code.
  if (/^Region (?:is missing|not accepted)/.test(message)) return NO_REGION;
  if (/^(?:Credentials|Token)ProviderError$/.test(name)) return NO_CREDENTIALS;
  if (neverSent(thrown)) return UNREACHABLE;
  if (name === "ResourceNotFoundException") return NOT_FOUND;
  if (PASSING.test(name)) return NOT_YET;
  const status = statusOf(thrown);
  if (status === 401 || status === 403) return DENIED;
  // A status without Lambda's own word may be that of a proxy, which does not know whether it has started.
  const refused =
    NEVER_STARTED.test(name) || (status >= 400 && status < 500 && name.endsWith("Exception"));
  return refused ? NOT_STARTED : UNKNOWN;
}

/** Names the command that tells the truth about a run without an answer. */
export function lookWith(functionName: string): string {
  return `The ledger knows what was done: neon-migrate invoke ${functionName} --action status`;
}

/** Whether there never was a connection. A time-out without a code is that of connecting: no other limit is set. */
export function neverSent(thrown: unknown): boolean {
  const { name, code, syscall, errors } = Object(thrown);
  if (Array.isArray(errors) && errors.length > 0) return errors.every(neverSent);
  return (
    ["connect", "getaddrinfo"].includes(syscall) || (name === "TimeoutError" && code === undefined)
  );
}

/** The HTTP status of an answer with an error; 0 where there was no answer. */
export function statusOf(thrown: unknown): number {
  return Number(Object(thrown).$metadata?.httpStatusCode ?? 0);
}
