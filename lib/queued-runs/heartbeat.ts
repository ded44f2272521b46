import { MigratorError } from "../errors.ts";
import type { Milestone } from "../migrate/milestone.ts";
import type { Target } from "../target/target.ts";
import { within } from "../wait.ts";
import { touchRun } from "./table.ts";
import { askHomes, openRuns, type RunsDependencies, type RunsSession } from "./with-runs.ts";

/** A queued run, and the call that carries it out. */
export interface Following extends RunsDependencies {
  /** The id in its row. */
  readonly runId: string;
}

/** The signs of a run, until somebody stops them. */
export interface Signs {
  stop(): Promise<void>;
}

/** The least time between two signs of progress, and the longest between two signs of life, in ms. */
const PROGRESS_EVERY_MS = 1_000;
const SIGN_OF_LIFE_EVERY_MS = 5_000;
/** The wait of a run that is over for a sign that is on its way, in ms. */
const STOP_TIMEOUT_MS = 500;

/**
 * Starts to show that a run lives, and how far it is. A sign that cannot be written is no reason for the run to fail: that
 * is logged, and the next sign is tried.
 */
export function showSigns(
  target: Target,
  following: Following,
  progress: () => Milestone | null,
): Signs {
  const writer = new SignWriter(target, following);
  let end: (over: true) => void = () => undefined;
  const ended = new Promise<true>((resolve) => {
    end = resolve;
  });

  async function showUntilOver(): Promise<void> {
    let over = false;
    while (!over && Date.now() < following.deadline) {
      over =
        (await within(ended, PROGRESS_EVERY_MS, () => false)) || (await writer.show(progress()));
    }
    await writer.leave();
  }

  const showing = showUntilOver();
  return {
    stop: async () => {
      end(true);
      await within(showing, STOP_TIMEOUT_MS, () => writer.drop());
    },
  };
}

/** Writes the signs on a session of its own, which it opens with the first sign and keeps. */
class SignWriter {
  readonly #target: Target;
  readonly #following: Following;
  #session: RunsSession | null = null;
  #shown: Milestone | null = null;
  #shownAt: number = Date.now();

  constructor(target: Target, following: Following) {
    this.#target = target;
    this.#following = following;
  }

  /** Writes a sign where one is due. @returns whether the row says that the run is over */
  async show(progress: Milestone | null): Promise<boolean> {
    const silentMs = Date.now() - this.#shownAt;
    if (progress === this.#shown && silentMs < SIGN_OF_LIFE_EVERY_MS) return false;
    const tooLate = setTimeout(() => this.drop(), SIGN_OF_LIFE_EVERY_MS);
    try {
      return !(await this.#touch(progress));
    } catch (thrown) {
      const code = thrown instanceof MigratorError ? thrown.code : "INTERNAL";
      this.#following.log("run.sign-failed", { code });
      await this.leave();
      return false;
    } finally {
      clearTimeout(tooLate);
    }
  }

  async #touch(progress: Milestone | null): Promise<boolean> {
    const { runId: id, requestId } = this.#following;
    const session = this.#session ?? (await openRuns(this.#target, this.#following));
    this.#session = session;
    const row = await askHomes(session, (home) => touchRun(home, { id, requestId, progress }));
    this.#shown = progress;
    this.#shownAt = Date.now();
    return row !== null;
  }

  /** Ends the session without a word. */
  drop(): void {
    this.#session?.connection.abort();
  }

  async leave(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.connection.close();
  }
}
