import type { Migration } from "../bundle/bundle.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { type Dependencies, migrate } from "../migrate/migrate.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import { readNeonKey, readNeonSettings } from "../target/neon-access.ts";
import { type RehearsalDependencies, rehearse } from "./rehearse.ts";

/** The needs of a request with a rehearsal. */
export type CarryOutDependencies = Dependencies &
  Partial<Pick<RehearsalDependencies, "access" | "keep">>;

/** The part of the time that a rehearsal in front of a run may have. The rest is the run's. */
const REHEARSAL_SHARE = 0.6;

/**
 * Carries out a request that has a rehearsal in it: alone, or in front of a run. The run follows where the rehearsal went
 * well, and where the same is pending under the lock. Where nothing is pending there is no rehearsal, and Neon's API is not
 * asked: the rollback of a stack must not need it. Never rejects.
 */
export async function carryOut(request: Request, given: CarryOutDependencies): Promise<Report> {
  const dependencies = { ...given, deadline: deadlineOf(request, given) };
  const { access = () => accessFrom(dependencies) } = dependencies;
  if (request.action === "rehearse") return await rehearse(request, { ...dependencies, access });
  const { onProgress: _told, ...silent } = dependencies;
  const seen = await migrate({ ...request, action: "plan" }, silent);
  if (seen.status === "failed") return seen;
  if (seen.status === "up-to-date") {
    return { ...(await migrate(request, dependencies)), rehearsal: null };
  }
  const began = Date.now();
  const share = shareOf(began, dependencies.deadline);
  const tried = await rehearse(request, { ...dependencies, deadline: share, access });
  const took = tookOf(Date.now() - began, share === null ? null : share - began);
  const isAway = tried.error?.code === "REHEARSAL_UNAVAILABLE" && request.rehearsal === "try";
  if (tried.status === "failed" && !isAway) return saying(tried, took);
  const run = await migrate(request, {
    ...dependencies,
    ...(isAway ? {} : { assertPending: sameAs(tried) }),
  });
  const left = tried.warnings.filter(({ code }) => code === "REHEARSAL_BRANCH_LEFT");
  const warnings = [...run.warnings, ...left, ...(isAway ? [notRehearsed(tried)] : [])];
  return { ...saying(run, took), warnings, rehearsal: tried.rehearsal ?? null };
}

function shareOf(now: number, deadline: number | null): number | null {
  return deadline === null ? null : now + Math.max(deadline - now, 0) * REHEARSAL_SHARE;
}

/** Says how much of the time the rehearsal took. */
function tookOf(ms: number, shareMs: number | null): string {
  const seconds = (value: number) => `${(value / 1_000).toFixed(1)} s`;
  const of = shareMs === null ? "" : ` of the ${seconds(shareMs)} that it may have`;
  return `The rehearsal in front of the run took ${seconds(ms)}${of}: the rest is the run's. Give the whole more time, or rehearse in a call of its own.`;
}

/** Adds to the error about the end of the time what took it. */
function saying(report: Report, words: string): Report {
  const { error } = report;
  if (error?.code !== "DEADLINE") return report;
  const [message, publicMessage] = [error.message, error.publicMessage].map(
    (text) => `${text} ${words}`,
  ) as [string, string];
  return { ...report, error: { ...error, message, publicMessage } };
}

/** Returns the end of the time that the request has for all that is done for it. */
function deadlineOf({ timeoutMs }: Request, { deadline }: Dependencies): number | null {
  if (timeoutMs === null) return deadline;
  return Math.min(Date.now() + timeoutMs, deadline ?? Number.POSITIVE_INFINITY);
}

function notRehearsed({ error }: Report): Warning {
  return {
    code: "NOT_REHEARSED",
    message: `The migrations were applied without a rehearsal, as the request allows. ${error?.message ?? ""}`,
  };
}

/**
 * Returns the proof that what is pending is what was rehearsed. A run that goes on behind a lost connection, or by another
 * plan, has less of it left.
 */
function sameAs({ pending: rehearsed }: Report): (pending: readonly Migration[]) => void {
  let isFirst = true;
  return (pending) => {
    const known = new Set(rehearsed.map(({ hash }) => hash));
    const isSame = pending.every(({ hash }) => known.has(hash));
    const isWhole = !isFirst || pending.length === rehearsed.length;
    isFirst = false;
    if (isSame && isWhole) return;
    const tags = (list: readonly { readonly tag: string }[]) =>
      list.map(({ tag }) => tag).join(", ") || "nothing";
    throw new MigratorError(
      "REHEARSAL_STALE",
      `The database has changed since the rehearsal: ${tags(rehearsed)} was pending then, and ${tags(pending)} is pending under the lock. Nothing was run; start the same request again.`,
      { retryable: true },
    );
  };
}

/** Reads the way to Neon's API from the environment. */
async function accessFrom({
  deadline,
  log,
}: Dependencies): ReturnType<RehearsalDependencies["access"]> {
  const { key, projectId, url } = readNeonSettings();
  const until = deadline ?? 0;
  return { key: await readNeonKey(key, { until, log }), projectId, url };
}
