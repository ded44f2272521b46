import type { Bundle } from "../bundle/bundle.ts";
import { headHashes } from "../bundle/hash.ts";
import type { Call, InvocationContext } from "../events/caller.ts";
import type { Log } from "../log.ts";
import { redact } from "../report/redact.ts";
import { failedReport, type Report } from "../report/report.ts";
import type { Patience } from "../rights.ts";
import { type Config, readConfig } from "../target/config.ts";
import type { KeptClients } from "../target/read-secret.ts";
import { resolveTarget } from "../target/secret.ts";
import type { Target } from "../target/target.ts";
import { type Moments, momentsOf } from "./moments.ts";

/** The bundle, or the function that reads it: called inside the call, so that a damaged one becomes a report. */
export type BundleSource = Bundle | (() => Bundle | Promise<Bundle>);

/** A call with the parts that only the handler needs. */
export interface HandlerCall extends Call {
  readonly event: unknown;
  readonly moments: Moments;
  /** Marks a report as that of the tenant whose database the request names. Default: left as it is. */
  sign: (report: Report) => Report;
  /** Reads where a database is, by the settings of this function with some of them replaced. @throws as `resolveTarget` */
  resolve(replaced: Partial<Config>, patience: Patience): Promise<Target>;
  /** Makes the report of a run that does not end by itself: the run's own as soon as it has begun. See `Dependencies`. */
  giveUp: (reason: unknown) => Report;
}

/** The parts of a handler that outlive its calls. */
export interface HandlerParts {
  readonly bundle: BundleSource;
  /** See `resolveTarget`. */
  readonly clients?: KeptClients;
}

/** Starts a call: its moments are counted from now. */
export function startCall(
  event: unknown,
  context: InvocationContext,
  log: Log,
  { bundle, clients }: HandlerParts,
): HandlerCall {
  const moments = momentsOf(Date.now(), context.getRemainingTimeInMillis());
  const secrets: string[] = [];
  let known: Bundle | null = null;
  let asked = false;
  const call: HandlerCall = {
    ...{ event, context, log, moments, answerBy: moments.answerBy },
    async bundle() {
      known ??= typeof bundle === "function" ? await bundle() : bundle;
      return known;
    },
    async bundleHashes() {
      const ours = await call.bundle();
      return { whole: ours.hash, heads: () => headHashes(ours.migrations) };
    },
    async target(rightsBy = moments.deadline) {
      // Only the first reading waits: what it finds out holds for the rest of the call.
      const until = asked ? 0 : rightsBy;
      asked = true;
      const target = await call.resolve({}, { until, log });
      secrets.push(target.url);
      return target;
    },
    sign: (report) => report,
    resolve: (replaced, patience) =>
      resolveTarget({ ...readConfig(), ...replaced }, patience, clients),
    hide: (secret) => secrets.push(secret),
    failed: (reason) => redact(call.giveUp(reason), secrets),
    giveUp: (reason) => failedReport(context.awsRequestId, reason),
  };
  return call;
}
