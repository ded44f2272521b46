import { MigratorError } from "../errors.ts";
import type { Milestone } from "../migrate/milestone.ts";
import type { Target } from "../target/target.ts";
import { within } from "../wait.ts";
import { touchRun } from "./table.ts";
import { askHomes, openRuns, type RunsDependencies, type RunsSession } from "./with-runs.ts";

/** A run that was queued, and what carries it out. */
export interface Following extends RunsDependencies {
  /** Of the row. */
  readonly runId: string;
}

/** Shows that a run lives, until it is stopped. */
export interface Signs {
  stop(): Promise<void>;
}

/** How often what a run has done is written down, in ms, and how often it shows that it lives. */
const PROGRESS_EVERY_MS = 1_000;
const SIGN_OF_LIFE_EVERY_MS = 5_000;
/** How long a run that is over waits for a sign that is on its way. */
const STOP_TIMEOUT_MS = 500;

/**
 * Starts to show that a run lives, and how far it is. Whatever goes wrong with that is no reason for the run to
 * fail: it is logged, and tried again.
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

/** Writes the signs, on a session of its own that is opened with the first and kept. */
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

  /** @returns whether there is nothing to show any more, because the row says that the run is over */
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
