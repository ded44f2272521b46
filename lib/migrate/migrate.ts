import { MigratorError } from "../errors.ts";
import { outOfTime } from "../execute/contention.ts";
import { redact } from "../report/redact.ts";
import { buildReport, failedReport, type Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import { parseEndpoint } from "../target/endpoint.ts";
import type { Target } from "../target/target.ts";
import { backoffMs } from "../wait.ts";
import { attempt, type Dependencies } from "./attempt.ts";
import type { Status } from "./make-plan.ts";
import { factsOf, located, type Progress, startProgress } from "./progress.ts";

export type { Dependencies } from "./attempt.ts";

/** With no limit from outside a run still ends, after as long as a Lambda function may run. */
const DEFAULT_TIMEOUT_MS = 900_000;

const ROTATED =
  "The login was refused, so the secret was read again. It had another connection string by then, which was used.";

/** Somebody who ends our session again and again means it. */
const MAX_ATTEMPTS = 4;

/**
 * Runs one request against one database: connect, lock, read the ledger, plan, execute, report.
 * Never rejects: every failure is a report.
 */
export async function migrate(request: Request, dependencies: Dependencies): Promise<Report> {
  const { bundle, requestId } = dependencies;
  const started = Date.now();
  const asked = started + (request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const deadline = Math.min(asked, dependencies.deadline ?? asked);
  const progress = startProgress(bundle, deadline);
  const secrets: string[] = [];
  const facts = () => ({
    ...factsOf(progress),
    timings: { ...progress.timings, totalMs: Date.now() - started },
  });
  const failed = (thrown: unknown) =>
    redact(failedReport(requestId, located(thrown, progress), facts()), secrets);
  dependencies.onStart?.((reason) => {
    // Nothing more is begun, and what is going on loses its session: the lock is free.
    progress.deadline = 0;
    progress.connection?.abort();
    return failed(outOfTime(reason, progress.blockers?.present() ?? []));
  });
  try {
    const findTarget = async () => {
      const target = await dependencies.target();
      secrets.push(...secretsOf(target));
      return target;
    };
    const found = { ...dependencies, target: findTarget };
    const status = await runWithSecret(request, found, progress);
    return redact(buildReport(requestId, status, facts()), secrets);
  } catch (thrown) {
    return failed(thrown);
  }
}

/** A password may be rotated between our reading it and our using it: then it is read once more. */
async function runWithSecret(
  request: Request,
  dependencies: Dependencies,
  progress: Progress,
): Promise<Status> {
  progress.doing = "reading the connection string";
  const target = await dependencies.target();
  try {
    return await attemptUntilAnswered(request, target, dependencies, progress);
  } catch (thrown) {
    const rotated = await rotatedTarget(thrown, target, dependencies);
    if (rotated === null) throw thrown;
    progress.warn("SECRET_ROTATED", ROTATED);
    return await attemptUntilAnswered(request, rotated, dependencies, progress);
  }
}

/**
 * A connection that is lost says nothing about what was committed, but the ledger does: so it is read
 * again, under the lock, and what is still pending is run again.
 */
async function attemptUntilAnswered(
  request: Request,
  target: Target,
  dependencies: Dependencies,
  progress: Progress,
): Promise<Status> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt(request, target, dependencies, progress);
    } catch (thrown) {
      const lost = thrown instanceof MigratorError && thrown.code === "CONNECTION_LOST";
      const pauseMs = backoffMs(attempts);
      const late = Date.now() + pauseMs >= progress.deadline;
      if (!lost || late || attempts >= MAX_ATTEMPTS) throw thrown;
      dependencies.log("run.again", { attempts, sqlstate: thrown.facts.sqlstate });
      progress.warn("CONNECTION_LOST", `Attempt ${attempts} broke off. ${thrown.message}`);
      progress.doing = "waiting to connect again";
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** What is found now, if that is something else. */
async function rotatedTarget(
  thrown: unknown,
  before: Target,
  { target, log }: Dependencies,
): Promise<Target | null> {
  if (!(thrown instanceof MigratorError) || thrown.code !== "LOGIN_FAILED") return null;
  try {
    const now = await target();
    if (now.url === before.url) return null;
    log("secret.rotated");
    return now;
  } catch (cause) {
    // The refused login is what is to be mended; that nothing can be read any more comes on top.
    log("secret.unreadable", { code: cause instanceof MigratorError ? cause.code : "INTERNAL" });
    return null;
  }
}

function secretsOf(target: Target): readonly string[] {
  try {
    const { password } = parseEndpoint(target.url);
    return password === null ? [target.url] : [target.url, password, encodeURIComponent(password)];
  } catch {
    return [target.url];
  }
}
