import { CALLBACK_CLIENT } from "../aws-client.ts";
import type { ErrorCode } from "../errors.ts";
import type { Report } from "../report/report.ts";
import { oneLine, shortened } from "../text.ts";
import { callBack } from "./callback.ts";
import type { End, InvocationContext } from "./caller.ts";
import type { Continuation } from "./continuation.ts";
import { attributesOf, reasonOf } from "./summary.ts";

/** Limits of `PutJobSuccessResult` and `PutJobFailureResult` (CodePipeline API reference). */
const MAX_SUMMARY_LENGTH = 2_048;
const MAX_REASON_LENGTH = 4_500;

/** The error by which CodePipeline says that the job was answered before, or that nobody waits for it any more. */
const SETTLED = ["InvalidJobStateException"];
/** IAM knows no resource for either. */
const RIGHTS = "codepipeline:PutJobSuccessResult and codepipeline:PutJobFailureResult on *";

type FailureType =
  | "JobFailed"
  | "ConfigurationError"
  | "PermissionError"
  | "RevisionOutOfSync"
  | "SystemUnavailable";

/** CodePipeline's own words for what went wrong; the others are `JobFailed`. */
const FAILURE_TYPES: Partial<Record<ErrorCode, FailureType>> = {
  BUNDLE_MISSING: "ConfigurationError",
  BUNDLE_INVALID: "ConfigurationError",
  CONFIG_INVALID: "ConfigurationError",
  DATABASE_URL_MISSING: "ConfigurationError",
  DATABASE_URL_INVALID: "ConfigurationError",
  DATABASE_NOT_FOUND: "ConfigurationError",
  REQUEST_INVALID: "ConfigurationError",
  READ_ONLY: "ConfigurationError",
  POOLED_CONNECTION: "ConfigurationError",
  SECRET_UNAVAILABLE: "PermissionError",
  LOGIN_FAILED: "PermissionError",
  LEDGER_DENIED: "PermissionError",
  AHEAD: "RevisionOutOfSync",
  OUT_OF_ORDER: "RevisionOutOfSync",
  MODIFIED: "RevisionOutOfSync",
  UNREACHABLE: "SystemUnavailable",
  CONNECT_TIMEOUT: "SystemUnavailable",
  ENDPOINT_UNAVAILABLE: "SystemUnavailable",
  CONNECTION_LOST: "SystemUnavailable",
};

/**
 * Tells CodePipeline how a job ended, or that it goes on.
 * @param before the continuation that the job came with
 * @throws MigratorError as `callBack`
 */
export function answerJob(
  jobId: string,
  before: Continuation,
  { report, next, call }: End,
): ReturnType<typeof callBack> {
  const answer = report === null ? null : answerTo(report, before, next, call.context);
  return callBack(
    "CodePipeline",
    async (abortSignal) => {
      const { CodePipelineClient, PutJobFailureResultCommand, PutJobSuccessResultCommand } =
        await import("@aws-sdk/client-codepipeline");
      const client = new CodePipelineClient(CALLBACK_CLIENT);
      if (answer?.failureDetails === undefined) {
        const command = new PutJobSuccessResultCommand({ jobId, ...answer?.success });
        return await client.send(command, { abortSignal });
      }
      const { failureDetails } = answer;
      const command = new PutJobFailureResultCommand({ jobId, failureDetails });
      return await client.send(command, { abortSignal });
    },
    { deadline: call.answerBy, log: call.log, rights: RIGHTS, settled: SETTLED },
  );
}

/** The answer in the API's terms: another call is wanted, or the job is done, or it failed. */
function answerTo(
  report: Report,
  before: Continuation,
  next: Continuation | null,
  context: InvocationContext,
) {
  const externalExecutionId = context.awsRequestId;
  if (report.error === undefined) {
    const appliedCount = String(before.applied + report.applied.length);
    const executionDetails = { summary: summaryOf(report), externalExecutionId };
    const outputVariables = { ...attributesOf(report, context), appliedCount };
    return { success: { executionDetails, outputVariables } };
  }
  if (next !== null) {
    const summary = shortened(
      oneLine(`To be continued. ${report.error.publicMessage}`),
      MAX_SUMMARY_LENGTH,
    );
    const percentComplete = percent(next.applied, report.pending.length);
    const executionDetails = { summary, externalExecutionId, percentComplete };
    return { success: { continuationToken: JSON.stringify(next), executionDetails } };
  }
  const type = FAILURE_TYPES[report.error.code] ?? "JobFailed";
  const message = reasonOf(report, context, MAX_REASON_LENGTH);
  return { failureDetails: { type, message, externalExecutionId } };
}

function summaryOf({ status, applied, pending, latest }: Report): string {
  const tags = applied.map(({ tag }) => tag).join(", ");
  const counts = `${status}: ${applied.length} applied, ${pending.length} pending, latest ${latest ?? "none"}.`;
  return shortened(oneLine(tags === "" ? counts : `${counts} ${tags}`), MAX_SUMMARY_LENGTH);
}

function percent(applied: number, pending: number): number {
  return Math.floor((100 * applied) / Math.max(applied + pending, 1));
}
