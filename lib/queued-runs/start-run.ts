/*
 * Queued runs: runs that outlive the call that asked for them. A request comes in, and a row in a table beside the ledger
 * goes out: one call writes it (this file), another one carries the run out (carry-out.ts), a third tells of it
 * (find-run.ts). Nothing here knows how to migrate: a queued run goes through `migrate/` like any other run.
 */

import { randomUUID } from "node:crypto";
import type { Connection } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import { readOnly } from "../ledger/denied.ts";
import { LOCK_NOT_AVAILABLE, postgresFacts } from "../postgres/errors.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import { type RunsHome, readHomes, runsQuestion } from "./home.ts";
import { invokeItself } from "./invoke-itself.ts";
import { describeRun, type RunRecord, type RunRow } from "./record.ts";
import { chooseRunsHome, createRuns, finishRun, insertRun } from "./table.ts";
import { type RunsDependencies, type RunsSession, withRuns } from "./with-runs.ts";

/** A run that a caller wants to begin without waiting for its end. */
export interface Wanted {
  readonly request: Request;
  readonly requestedBy: string | null;
  /** The ARN by which the function is to invoke itself. */
  readonly functionArn: string;
  statusUrlOf(runId: string): string;
  /** Makes the report of a run that Lambda does not take. */
  reportOf(thrown: unknown): Report;
}

/** Somebody else has just created what was to be created (schema, table, or either seen in its catalog). */
const CREATED_MEANWHILE: readonly unknown[] = ["42P06", "42P07", "23505"];
/** As long as it may take to see who is first. */
const CREATE_ATTEMPTS = 3;

/**
 * Writes a run down and hands it to another call of this function. The row is there before anybody is told its
 * id, and says so where Lambda does not take the run.
 * @throws MigratorError `RUN_NOT_STARTED`, `LEDGER_DENIED`, `READ_ONLY`, `LOCK_TIMEOUT`, and as `connect`; then
 *   nothing will be run
 */
export async function startRun(
  wanted: Wanted,
  target: Target,
  dependencies: RunsDependencies,
): Promise<RunRecord> {
  return await withRuns(target, dependencies, async (session) => {
    const id = randomUUID();
    const { request, requestedBy, functionArn } = wanted;
    const { requestId, deadline, log } = dependencies;
    const home = await prepareHome(session, target);
    const { text, values } = insertRun(home, { id, requestedBy, request });
    const [written] = await session.connection.query<Pick<RunRow, "requestedAt">>(text, values);
    if (written === undefined) throw new Error("The row of a run was not written.");
    try {
      const patience = { until: deadline, log };
      const run = { id, request, ...(requestedBy === null ? {} : { requestedBy }) };
      await invokeItself(functionArn, { "neon-migrate.run": run }, patience);
    } catch (thrown) {
      const refused = finishRun(home, { id, requestId, report: wanted.reportOf(thrown) });
      const rows = await session.connection.query(refused.text, refused.values);
      // Where the row is not ours to finish any more, only the answer was lost: the run has begun.
      if (rows.length > 0) throw thrown;
    }
    log("run.queued", { runId: id, requestedBy });
    return describeRun(id, wanted.statusUrlOf(id), queuedRow(written.requestedAt, requestedBy));
  });
}

function queuedRow(requestedAt: string, requestedBy: string | null): RunRow {
  return {
    ...{
      state: "queued",
      requestedAt,
      requestedBy,
      requestId: null,
      startedAt: null,
      seenAt: null,
    },
    ...{ progress: null, finishedAt: null, report: null, silentSeconds: 0, connected: false },
  };
}

/** Creates the table where it is missing. Of several that do so at once, the others find it created. */
async function prepareHome(session: RunsSession, { ledger }: Target): Promise<RunsHome> {
  const { connection } = session;
  const { role, host } = connection.database;
  if (connection.readOnly)
    throw readOnly(`A run that outlives its call is written down, but ${host} is read-only.`);
  let { homes } = session;
  for (let attempt = 1; attempt <= CREATE_ATTEMPTS; attempt += 1) {
    const home = chooseRunsHome(homes, role);
    if (home.exists || (await created(connection, home))) return home;
    homes = readHomes((await connection.batch([runsQuestion(ledger)]))[0]);
  }
  throw new Error("The table of runs is created by others again and again.");
}

/** @returns false where somebody else was faster */
async function created(connection: Connection, home: RunsHome): Promise<boolean> {
  try {
    await connection.batch(createRuns(home));
    return true;
  } catch (thrown) {
    const sqlstate = postgresFacts(thrown)?.sqlstate;
    if (sqlstate === LOCK_NOT_AVAILABLE) throw busy(thrown);
    if (CREATED_MEANWHILE.includes(sqlstate)) return false;
    throw thrown;
  }
}

function busy(cause: unknown): MigratorError {
  return new MigratorError(
    "LOCK_TIMEOUT",
    "Another run is creating the ledger's schema right now, and this run would be recorded there. Nothing was run; send it again in a moment.",
    { cause, sqlstate: LOCK_NOT_AVAILABLE, retryable: true },
  );
}
