/*
 * Restore: the state before a run, or at a time. The name of a moment comes in. By default a new branch with that state goes
 * out, and production is not touched. In place, production gets that state back by one call of Neon's API, and its present
 * state is kept in a branch. The only statements that are sent read the history and take the migration lock.
 */

import type { Rows } from "../connection/connection.ts";
import { withConnection } from "../connection/with-connection.ts";
import { MigratorError } from "../errors.ts";
import { historyQuestion, readHistory } from "../history/read.ts";
import { runsOf } from "../history/runs.ts";
import { lockQuestion, readLockAnswer } from "../ledger/lock.ts";
import type { Log } from "../log.ts";
import { createNeonApi, type NeonApi } from "../neon/neon-api.ts";
import type { ProjectAccess } from "../neon/project-access.ts";
import { parseEndpoint } from "../target/endpoint.ts";
import type { Target } from "../target/target.ts";
import { type Point, pointBefore, pointInTime } from "./point.ts";
import { assertInWindow, protectedBranch, runUnderWay } from "./refusals.ts";

/** The wish to go back. */
export interface RestoreRequest {
  /** A request id, a tag, or a time as ISO 8601 in UTC. */
  readonly before: string;
  /** Whether production itself goes back. */
  readonly inPlace: boolean;
  /** In place: whether it is done. Without it the answer says what would be done. */
  readonly yes: boolean;
  /** A new branch: hours until Neon deletes it; null keeps it. */
  readonly expiresInHours: number | null;
}

/** The needs of a restore from outside. */
export interface RestoreDependencies {
  readonly target: Target;
  readonly requestId: string;
  readonly access: Omit<ProjectAccess, "deadline" | "code">;
  /** Epoch ms. */
  readonly deadline: number;
  readonly log: Log;
}

/** What was made, or would be. */
export interface Restored {
  /** `branch`: a new branch was made. `shown`: nothing was done. `restored`: production has the earlier state. */
  readonly kind: "branch" | "shown" | "restored";
  readonly point: Point;
  /** How long ago that point was, in ms. */
  readonly agoMs: number;
  /** How far back the project can go, in seconds. */
  readonly windowSeconds: number;
  readonly production: { readonly branchId: string; readonly name: string; readonly host: string };
  /** Null where none was made. */
  readonly branch: RestoredBranch | null;
  /** The branch that has the state from before the restore. Where nothing was done, its name begins so. Null: a new branch. */
  readonly preservedName: string | null;
}

/** The new branch, and how to log in to it. */
export interface RestoredBranch {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly database: string;
  readonly role: string;
  /** Whether the roles have the passwords that they have on production: not where that is protected. */
  readonly samePasswords: boolean;
  /** Null where nobody deletes it. */
  readonly expiresAt: string | null;
}

/** The time for one session with production, beside that for connecting, in ms. */
const READ_MS = 30_000;
const HOUR_MS = 3_600_000;
/** Characters of a branch's name that say before what it is. */
const MAX_NAME = 100;

/**
 * Makes a branch of production with an earlier state, or gives production that state.
 * @throws MigratorError `RESTORE_POINT_UNKNOWN`, `RESTORE_OUTSIDE_WINDOW`, `RESTORE_PROTECTED`, `RESTORE_UNAVAILABLE`, `LOCKED`,
 *   and as `connect`
 */
export async function restore(
  request: RestoreRequest,
  dependencies: RestoreDependencies,
): Promise<Restored> {
  const { access, deadline } = dependencies;
  const api = createNeonApi({ ...access, deadline, code: "RESTORE_UNAVAILABLE" });
  return request.inPlace
    ? await restoreInPlace(request, dependencies, api)
    : await makeBranch(request, dependencies, api);
}

async function makeBranch(
  request: RestoreRequest,
  dependencies: RestoreDependencies,
  api: NeonApi,
): Promise<Restored> {
  const { target, log, requestId } = dependencies;
  // A time needs no history, so production may be out of reach.
  const point = pointInTime(request.before) ?? (await askForPoint(request, dependencies));
  const { production, isProtected, ...seen } = await look(api, target, point);
  const branch = await api.createBranch({
    ...{ prefix: `before-${nameOf(request.before)}`, parentId: production.branchId },
    ...{ at: momentOf(point), expiresAt: expiryOf(request) },
    note: { madeBy: "neon-lambda-migrator", requestId },
  });
  log("restore.branch", { branch: branch.name, expiresAt: branch.expiresAt });
  await api.untilReady(branch);
  const { database, user: role } = parseEndpoint(target.url);
  const { id, name, host, expiresAt } = branch;
  const made = { id, name, host, database, role, samePasswords: !isProtected, expiresAt };
  return { ...seen, kind: "branch", production, branch: made, preservedName: null };
}

async function restoreInPlace(
  { before, yes }: RestoreRequest,
  { target, requestId, deadline, log }: RestoreDependencies,
  api: NeonApi,
): Promise<Restored> {
  const opening = { history: historyQuestion(target.ledger), lock: lockQuestion(target.ledger) };
  const asking = { requestId, deadline, log, opening, reason: outOfTime(), graceMs: 1 };
  // Nobody migrates between the look and the restore: the lock is ours until the restore ends our session.
  return await withConnection(target, asking, async (connection) => {
    const { history, lock } = connection.opening;
    const point = pointInTime(before) ?? pointIn(history, before);
    if (readLockAnswer(lock) === "taken") throw await runUnderWay(connection, target.ledger);
    const { production, isProtected, ...seen } = await look(api, target, point);
    if (isProtected) throw protectedBranch(production.name);
    const preservePrefix = `before-restore-of-${production.name}`;
    const answer = { ...seen, production, branch: null };
    if (!yes) return { ...answer, kind: "shown", preservedName: preservePrefix };
    const { branchId, name: branch } = production;
    const { agoMs, windowSeconds } = seen;
    log("restore.begins", { branch, agoMs, preserved: preservePrefix, windowSeconds });
    const begun = await api.restoreBranch({ branchId, at: momentOf(point), preservePrefix });
    const { preservedName } = begun;
    log("restore.begun", { branch, preserved: preservedName });
    await api.untilReady(begun);
    return { ...answer, kind: "restored", preservedName };
  });
}

async function askForPoint(
  { before }: RestoreRequest,
  { target, requestId, deadline, log }: RestoreDependencies,
): Promise<Point> {
  const asking = {
    ...{ requestId, log, reason: outOfTime(), graceMs: 1 },
    deadline: Math.min(deadline, Date.now() + target.connectTimeoutMs + READ_MS),
    opening: { history: historyQuestion(target.ledger) },
  };
  return await withConnection(target, asking, ({ opening }) =>
    Promise.resolve(pointIn(opening.history, before)),
  );
}

function pointIn(history: Rows, before: string): Point {
  return pointBefore(before, runsOf(readHistory(history).entries));
}

/** What is known before anything is done. */
interface Seen extends Pick<Restored, "point" | "agoMs" | "windowSeconds" | "production"> {
  readonly isProtected: boolean;
}

/** Finds production by Neon's API. @throws MigratorError where the point cannot be had */
async function look(api: NeonApi, target: Target, point: Point): Promise<Seen> {
  const { branchId, host } = await api.findProduction(parseEndpoint(target.url).host);
  const [{ name, isProtected }, windowSeconds] = await Promise.all([
    api.readBranch(branchId),
    api.restoreWindowSeconds(),
  ]);
  const agoMs = Date.now() - Date.parse(point.time);
  assertInWindow(point, agoMs, windowSeconds);
  const production = { branchId, name, host };
  return { point, agoMs: Math.max(agoMs, 0), windowSeconds, production, isProtected };
}

function momentOf({ lsn, time }: Point): { readonly lsn: string } | { readonly time: Date } {
  return lsn === null ? { time: new Date(time) } : { lsn };
}

/** A tag can be long, and a time has colons. */
function nameOf(before: string): string {
  return before.replace(/[^A-Za-z0-9_.-]+/g, "-").slice(0, MAX_NAME);
}

function expiryOf({ expiresInHours }: RestoreRequest): Date | null {
  return expiresInHours === null ? null : new Date(Date.now() + expiresInHours * HOUR_MS);
}

function outOfTime(): MigratorError {
  return new MigratorError("DEADLINE", "The time for this restore is over. Ask again.", {
    retryable: true,
  });
}
