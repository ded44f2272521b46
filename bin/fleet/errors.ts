import { type ErrorCode, MigratorError, toError } from "../../lib/errors.ts";
import { neverSent, statusOf } from "../invoke/errors.ts";

/** One kind of failure: its code, and its sentence from the machine's ARN and AWS' own words. */
interface Kind {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  say(machine: string, said: string): string;
}

const NO_REGION: Kind = {
  code: "AWS_SETTINGS_MISSING",
  retryable: false,
  say: (_machine, said) =>
    `The AWS SDK found no region (${said}). Name the machine by its whole ARN, or set AWS_REGION.`,
};
const NO_CREDENTIALS: Kind = {
  code: "AWS_SETTINGS_MISSING",
  retryable: false,
  say: (_machine, said) =>
    `The AWS SDK found no credentials (${said}). Set AWS_PROFILE, or give this job a role.`,
};
const NOT_FOUND: Kind = {
  code: "FLEET_NOT_FOUND",
  retryable: false,
  say: (machine, said) =>
    `Step Functions does not know ${machine}, or not this run of it (${said}). Look at the ARN, the region and the account; --run is the name of a run.`,
};
const NAME_TAKEN: Kind = {
  code: "FLEET_INVALID",
  retryable: false,
  say: (_machine, said) =>
    `A run of this name was there before (${said}). Leave --run out, or take another name.`,
};
const DENIED: Kind = {
  code: "FLEET_DENIED",
  retryable: false,
  say: (machine, said) =>
    `AWS does not let these credentials do that (${said}). They must still be valid, and need the rights that fleet.grantStart and fleet.grantRead of the construct give, on ${machine} and its bucket.`,
};
const INVALID: Kind = {
  code: "FLEET_INVALID",
  retryable: false,
  say: (_machine, said) => `Step Functions does not take the run (${said}). Nothing was started.`,
};
const UNAVAILABLE: Kind = {
  code: "FLEET_UNAVAILABLE",
  retryable: true,
  say: (_machine, said) =>
    `AWS did not answer (${said}). A run that was started goes on. Ask again: neon-migrate fleet status.`,
};

const UNKNOWN_NAMES = /^(?:(?:Execution|StateMachine)DoesNotExist|ResourceNotFound|InvalidArn)$/;
const REFUSED_NAMES =
  /^(?:Invalid(?:ExecutionInput|Name)|ValidationException|StateMachineDeleting)$/;

/** Makes a failure of an error of the SDK. One of ours stays as it is. */
export function fleetFailure(thrown: unknown, machine: string): MigratorError {
  if (thrown instanceof MigratorError) return thrown;
  const { name, message } = toError(thrown);
  const { code, retryable, say } = kindOf(thrown, name, message);
  const [what = ""] = message.split("\n", 1);
  const said = (name === "Error" ? what : `${name}: ${what}`).replace(/[.\s]+$/, "");
  return new MigratorError(code, say(machine, said), { cause: thrown, retryable });
}

function kindOf(thrown: unknown, name: string, message: string): Kind {
  if (/^Region (?:is missing|not accepted)/.test(message)) return NO_REGION;
  if (/^(?:Credentials|Token)ProviderError$/.test(name)) return NO_CREDENTIALS;
  if (neverSent(thrown)) return UNAVAILABLE;
  if (UNKNOWN_NAMES.test(name)) return NOT_FOUND;
  if (name === "ExecutionAlreadyExists") return NAME_TAKEN;
  if (REFUSED_NAMES.test(name)) return INVALID;
  const status = statusOf(thrown);
  if (status === 401 || status === 403 || /AccessDenied|UnrecognizedClient/.test(name)) {
    return DENIED;
  }
  return UNAVAILABLE;
}
