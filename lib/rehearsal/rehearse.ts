/*
 * Rehearsal: the pending migrations, run on a branch of production that is thrown away. A request and a bundle come in, as
 * for a run, and a report goes out that says how it would go: whether it fails and where, which tables would stand still
 * and for how long. Nothing here sends a statement to production: it is known by Neon's API only.
 */

import { withConnection } from "../connection/with-connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Dependencies, migrate } from "../migrate/migrate.ts";
import type { MadeBranch } from "../neon/branches.ts";
import type { NeonApi } from "../neon/neon-api.ts";
import type { ProjectAccess } from "../neon/project-access.ts";
import { redact } from "../report/redact.ts";
import type { Rehearsal, RehearsedBranch } from "../report/rehearsed.ts";
import { failedReport, type Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import { parseEndpoint } from "../target/endpoint.ts";
import type { Target } from "../target/target.ts";
import { seenFindings } from "./findings.ts";
import { Observer } from "./observe.ts";
import {
  FACTS_QUESTION,
  type ObserverFacts,
  RELATIONS_QUESTION,
  type Relations,
  readFacts,
  readRelations,
} from "./relations.ts";
import { rewrites, standstills, statementCosts } from "./standstill.ts";
import { CAVEATS, overLimit } from "./verdict.ts";

/** The needs of a rehearsal from outside. */
export interface RehearsalDependencies
  extends Pick<
    Dependencies,
    "bundle" | "requestId" | "deadline" | "log" | "target" | "onProgress" | "onWait" | "onStart"
  > {
  /** Reads the way to Neon's API. @throws MigratorError where a setting is missing */
  access(): Promise<Omit<ProjectAccess, "deadline" | "code">>;
  /** Whether the branch stays until it expires, for a look at it. Default: it is deleted. */
  readonly keep?: boolean;
}

/** A branch that nobody deletes is deleted by Neon behind this time. */
const EXPIRES_AFTER_MS = 6 * 3_600_000;
/** The time that is kept back for the deletion of the branch, and the share of a short time. */
const FOR_DELETION_MS = 20_000;
const FOR_DELETION_SHARE = 0.25;
const DEFAULT_TIMEOUT_MS = 900_000;

/**
 * Rehearses the pending migrations on a new branch of production. Never rejects: every failure is a report. Its
 * `rehearsal` says what was seen; where the branch could not be had it is null, and `error` says why.
 */
export async function rehearse(
  request: Request,
  dependencies: RehearsalDependencies,
): Promise<Report> {
  const { requestId, bundle } = dependencies;
  const secrets: string[] = [];
  const now = Date.now();
  const asked = now + (request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const deadline = Math.min(asked, dependencies.deadline ?? asked);
  const workBy = deadline - Math.min(FOR_DELETION_MS, (deadline - now) * FOR_DELETION_SHARE);
  const log: Log = (event, fields = {}) => dependencies.log(event, redact(fields, secrets));
  const stop: Stop = { reason: null, run: null };
  const failed = (thrown: unknown) =>
    redact(failedReport(requestId, thrown, { warnings: bundle.warnings }), secrets);
  dependencies.onStart?.(failed, (reason) => {
    stop.reason = reason;
    stop.run?.(reason);
    return true;
  });
  try {
    const target = await dependencies.target();
    secrets.push(target.url);
    const access = await dependencies.access();
    secrets.push(access.key);
    const { createNeonApi } = await import("../neon/neon-api.ts");
    const api = createNeonApi({ ...access, deadline: workBy, code: "REHEARSAL_UNAVAILABLE" });
    const report = await onBranch(request, { ...dependencies, log, target: () => target }, api, {
      ...{ target, workBy, deadline, secrets, stop },
    });
    return redact(report, secrets);
  } catch (thrown) {
    return failed(thrown);
  }
}

/** The wish of somebody that the rehearsal ends before its time. */
interface Stop {
  reason: MigratorError | null;
  /** Stops the run on the branch; null before there is one. */
  run: ((reason: MigratorError) => boolean) | null;
}

interface Scene {
  readonly target: Target;
  /** Epoch ms by which the work on the branch ends. */
  readonly workBy: number;
  /** Epoch ms by which the branch is deleted. */
  readonly deadline: number;
  /** Takes what must not be shown. */
  readonly secrets: string[];
  readonly stop: Stop;
}

/** Makes the branch, works on it, and deletes it, however the work ends. */
async function onBranch(
  request: Request,
  dependencies: RehearsalDependencies,
  api: NeonApi,
  scene: Scene,
): Promise<Report> {
  const { requestId, log, keep = false } = dependencies;
  const clock = stopwatch();
  const { host, database, user } = parseEndpoint(scene.target.url);
  const production = await api.findProduction(host);
  const expires = new Date(Date.now() + EXPIRES_AFTER_MS);
  const branch = await api.createBranch({
    ...{ prefix: `neon-migrate-${requestId}`, parentId: production.branchId },
    ...{ expiresAt: expires, compute: production.compute },
    note: { madeBy: "neon-lambda-migrator", requestId },
  });
  log("rehearsal.branch", { branch: branch.name, expiresAt: branch.expiresAt });
  const working = async () => {
    await api.untilReady(branch);
    if (scene.stop.reason !== null) throw scene.stop.reason;
    const url = await api.connectionUrl(branch, production, { database, role: user });
    scene.secrets.push(url);
    const branchMs = clock();
    log("rehearsal.ready", { branch: branch.name, branchMs });
    const ran = await workOn({ ...scene.target, url }, request, dependencies, scene);
    return { ran, branchMs, executeMs: clock() };
  };
  const [worked] = await Promise.allSettled([working()]);
  const deletion = keep ? null : await api.deleteBranch(branch.id, scene.deadline);
  const expiresAt = branch.expiresAt ?? expires.toISOString();
  const left = deletion?.deleted === false ? branchLeft(branch, expiresAt, deletion.reason) : null;
  if (left !== null) log("rehearsal.branch-left", { branch: branch.name, reason: left.message });
  const leftWarnings = left === null ? [] : [left];
  if (worked.status === "rejected") {
    const warnings = [...dependencies.bundle.warnings, ...leftWarnings];
    return failedReport(requestId, worked.reason, { warnings });
  }
  const { ran, branchMs, executeMs } = worked.value;
  const { id, name, parentId } = branch;
  const told: RehearsedBranch = {
    ...{ id, name, parentId, expiresAt, compute: production.compute },
    deleted: deletion?.deleted === true,
  };
  const timings = { branchMs, executeMs, deleteMs: clock() };
  const warnings = [...ran.report.warnings, ...leftWarnings];
  const rehearsal: Rehearsal = { ...ran.seen, branch: told, timings, calls: api.calls };
  return { ...ran.report, warnings, rehearsal };
}

function branchLeft({ name, id }: MadeBranch, expiresAt: string, reason: string): Warning {
  return {
    code: "REHEARSAL_BRANCH_LEFT",
    message: `The branch ${name} (${id}) could not be deleted: ${reason} Neon deletes it at ${expiresAt}.`,
  };
}

/** What was seen on the branch, and the report of it. */
interface Ran {
  readonly report: Report;
  readonly seen: Omit<Rehearsal, "branch" | "timings" | "calls">;
}

/** Runs the migrations on the branch, watches them, and asks whether anything is left. */
async function workOn(
  target: Target,
  request: Request,
  { bundle, requestId, log, onProgress, onWait }: RehearsalDependencies,
  { workBy, stop }: Scene,
): Promise<Ran> {
  const before = await lookAt(target, requestId, workBy, log);
  const observer = new Observer(before.relations, before);
  const common = {
    ...{ bundle, target: () => target, requestId, deadline: workBy, log },
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onWait === undefined ? {} : { onWait }),
  };
  const onStart: NonNullable<RehearsalDependencies["onStart"]> = (_giveUp, stopRun) => {
    stop.run = stopRun;
    if (stop.reason !== null) stopRun(stop.reason);
  };
  const watched = { ...common, onStart, observer };
  const run = await migrate({ ...request, action: "up" }, watched);
  const isApplied = run.status !== "failed";
  const left = isApplied ? await migrate({ ...request, action: "plan" }, common) : null;
  const after = isApplied ? await lookAt(target, requestId, workBy, log) : null;
  const observed = [observer.transactions, before.relations] as const;
  const statements = statementCosts(...observed);
  const seen = {
    standstills: standstills(...observed),
    rewrites: rewrites(...observed),
    statements,
  };
  const tags = new Set(run.findings.map(({ migration }) => migration));
  const told = bundle.migrations.filter(({ tag }) => tags.has(tag));
  const over = left === null ? null : (notDone(left) ?? overLimit(seen, request.rehearsalLimits));
  return {
    report: reportOf(run, left, over),
    seen: {
      ...seen,
      status: statusOf(left, over),
      limits: request.rehearsalLimits,
      applied: run.applied,
      findings: seenFindings(
        run.findings,
        new Map(told.map(({ tag, findings }) => [tag, findings])),
        { ...seen, transactions: observer.transactions, relations: before.relations },
      ),
      sizeBefore: before.bytes,
      sizeAfter: after?.bytes ?? null,
      walBytes: statements.reduce<number | null>(
        (sum, { walBytes }) => (sum === null || walBytes === null ? null : sum + walBytes),
        0,
      ),
      caveats: CAVEATS,
    },
  };
}

/** @param left the plan behind a run that has not failed; null behind one that has */
function statusOf(left: Report | null, over: MigratorError | null): Rehearsal["status"] {
  if (left?.status !== "up-to-date") return "failed";
  return over === null ? "passed" : "refused";
}

/** Returns the error about a run that left something behind; null where nothing is left. */
function notDone(left: Report): MigratorError | null {
  if (left.status === "up-to-date") return null;
  const tags = left.pending.map(({ tag }) => tag).join(", ");
  return new MigratorError(
    "MIGRATION_FAILED",
    left.error?.message ?? `Behind the run on the branch these are still pending: ${tags}.`,
  );
}

/** What is known of the branch, before the migrations or behind them. */
interface Known extends ObserverFacts {
  readonly relations: Relations;
  /** The size of the database. */
  readonly bytes: number;
}

/** Asks a branch for its size and its relations, with the login. */
async function lookAt(
  target: Target,
  requestId: string,
  deadline: number,
  log: Log,
): Promise<Known> {
  const reason = new MigratorError("DEADLINE", "The time for this rehearsal is over.", {
    retryable: true,
  });
  const opening = { facts: FACTS_QUESTION, relations: RELATIONS_QUESTION };
  const options = { requestId, deadline, log, opening, reason, graceMs: 1_000 };
  return await withConnection(target, options, (connection) => {
    return Promise.resolve({
      ...readFacts(connection.opening.facts),
      relations: readRelations(connection.opening.relations, target.ledger),
    });
  });
}

/** Makes the report of the rehearsal from that of the run on the branch: on production everything is still pending. */
function reportOf(run: Report, left: Report | null, over: MigratorError | null): Report {
  const { requestId, applied } = run;
  const pending = applied.map(({ tag, hash, when, statements }) => ({
    ...{ tag, hash, when, statements, done: 0, reasons: [] },
  }));
  // No point of production's log is known: nobody has asked it.
  const told = { ...run, applied: [], restorePoint: null };
  if (run.status === "failed") return { ...told, pending: [...pending, ...run.pending] };
  const all = { ...told, pending: [...pending, ...(left?.pending ?? [])] };
  if (over !== null) return { ...failedReport(requestId, over, all), status: "failed" };
  return { ...all, status: applied.length === 0 ? "up-to-date" : "planned" };
}

/** Returns a function that tells the ms since it was last asked. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const ms = Math.round(now - last);
    last = now;
    return ms;
  };
}
