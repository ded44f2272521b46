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
  const tried = await rehearse(request, { ...dependencies, access });
  const isAway = tried.error?.code === "REHEARSAL_UNAVAILABLE" && request.rehearsal === "try";
  if (tried.status === "failed" && !isAway) return tried;
  const run = await migrate(request, {
    ...dependencies,
    ...(isAway ? {} : { assertPending: sameAs(tried) }),
  });
  const warnings = isAway ? [...run.warnings, notRehearsed(tried)] : run.warnings;
  return { ...run, warnings, rehearsal: tried.rehearsal ?? null };
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
