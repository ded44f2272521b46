import type { Target } from "../config.ts";
import { MigratorError } from "../errors.ts";
import type { Dependencies, migrate } from "../migrate.ts";
import type { Milestone } from "../progress.ts";
import type { Report } from "../report.ts";
import type { Request } from "../request.ts";
import type { RunRow } from "./record.ts";
import {
  askHomes,
  openRuns,
  type RunsDependencies,
  type RunsSession,
  withRuns,
} from "./session.ts";
import { claimRun, finishRun, type RunsHome, selectRun, touchRun } from "./table.ts";

/** A run that was queued, and what carries it out. */
export interface Following extends RunsDependencies {
  /** Of the row. */
  readonly runId: string;
}

/** How often what a run has done is written down, in ms, and how often it shows that it lives. */
const PROGRESS_EVERY_MS = 1_000;
const SIGN_OF_LIFE_EVERY_MS = 5_000;
/** How long a run that is over waits for a sign that is on its way. */
const STOP_TIMEOUT_MS = 500;

/**
 * Carries a queued run out, and shows meanwhile how far it is: from a session of its own, because nobody sees
 * into the migration's transaction. The outcome is not written here: a call may end in other ways than this one.
 * @returns null where the run is another call's, or over: an event may be delivered twice
 * @throws MigratorError `RUN_NOT_FOUND`, and as `connect`
 */
export async function followRun(
  request: Request,
  dependencies: Dependencies,
  run: typeof migrate,
  following: Following,
): Promise<Report | null> {
  const target = await dependencies.target();
  let unused: Target | null = target;
  if (!(await withRuns(target, following, (session) => claim(session, following)))) return null;
  let progress: Milestone | null = null;
  const signs = showSigns(target, following, () => progress);
  try {
    const onProgress = (now: Milestone) => {
      progress = now;
    };
    // Asked a second time, it is asked because the secret may have been rotated.
    const targetOnce = () => {
      const found = unused ?? dependencies.target();
      unused = null;
      return found;
    };
    return await run(request, { ...dependencies, target: targetOnce, onProgress });
  } finally {
    await signs.stop();
  }
}

/**
 * Writes down how a run ended.
 * @throws MigratorError as `connect`: then it will read as lost; `RUN_NOT_FOUND`
 */
export async function recordOutcome(
  target: Target,
  report: Report,
  following: Following,
): Promise<void> {
  const { runId: id, requestId } = following;
  const row = await withRuns(target, following, (session) =>
    askHomes(session, (home) => finishRun(home, { id, requestId, report })),
  );
  if (row === null) throw notFound();
}

async function claim(session: RunsSession, { runId, requestId, log }: Following): Promise<boolean> {
  const claimed = await askHomes(session, (home) => claimRun(home, runId, requestId));
  if (claimed !== null) return true;
  const row = await askHomes<RunRow>(session, (home) => selectRun(home, runId));
  if (row === null) throw notFound();
  log("run.not-ours", { runId, state: row.state, byRequest: row.requestId });
  return false;
}

function notFound(): MigratorError {
  return new MigratorError(
    "RUN_NOT_FOUND",
    "The run that this event is about is written down nowhere. One that never was is not carried out; how another one ended is in the function's log.",
  );
}

/** Shows again and again that the run lives, until it is stopped. */
interface Signs {
  stop(): Promise<void>;
}

/** Whatever goes wrong with them is no reason for the run to fail. */
function showSigns(target: Target, following: Following, progress: () => Milestone | null): Signs {
  const { runId: id, requestId, deadline, log } = following;
  let session: RunsSession | null = null;
  let shown: Milestone | null = null;
  let shownAt = Date.now();
  let over = false;
  let wake = (): void => undefined;

  async function show(): Promise<void> {
    const now = progress();
    if (now === shown && Date.now() - shownAt < SIGN_OF_LIFE_EVERY_MS) return;
    session ??= await openRuns(target, following);
    const touch = (home: RunsHome) => touchRun(home, { id, requestId, progress: now });
    over ||= (await askHomes(session, touch)) === null;
    shown = now;
    shownAt = Date.now();
  }

  async function leave(): Promise<void> {
    await session?.connection.close();
    session = null;
  }

  async function showInTime(): Promise<void> {
    const tooLate = setTimeout(() => session?.connection.abort(), SIGN_OF_LIFE_EVERY_MS);
    try {
      await show();
    } catch (thrown) {
      log("run.sign-failed", { code: thrown instanceof MigratorError ? thrown.code : "INTERNAL" });
      await leave();
    } finally {
      clearTimeout(tooLate);
    }
  }

  async function showUntilOver(): Promise<void> {
    while (!over && Date.now() < deadline) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, PROGRESS_EVERY_MS);
      });
      if (!over) await showInTime();
    }
    await leave();
  }

  const showing = showUntilOver();
  return {
    stop: async () => {
      over = true;
      wake();
      const tooLate = new Promise((resolve) => setTimeout(resolve, STOP_TIMEOUT_MS));
      await Promise.race([showing, tooLate]);
      session?.connection.abort();
    },
  };
}
