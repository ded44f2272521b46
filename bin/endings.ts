import { constants } from "node:os";
import { MigratorError, toError } from "../lib/errors.ts";
import { catchUncaught } from "../lib/handler/uncaught.ts";
import type { Report } from "../lib/report/report.ts";
import { oneLine, printable } from "../lib/text.ts";
import { within } from "../lib/wait.ts";
import { EXIT_CODE } from "./exit-code.ts";

/** The end of a command that its work has not come to: a signal, or an error that nobody caught. */
export class Ending {
  /** Null where it is an error. */
  readonly signal: NodeJS.Signals | null;
  readonly thrown: unknown;

  constructor(signal: NodeJS.Signals | null, thrown: unknown) {
    this.signal = signal;
    this.thrown = thrown;
  }

  /** What ended the command, as a subject. */
  get what(): string {
    return this.signal ?? `An error of this command (${toError(this.thrown).message})`;
  }

  /**
   * Ends the process, and what may still be open with it. An error that nobody caught is told in one line on standard
   * error, where JSON has standard output. After a signal the exit code is that of a shell: 130 for SIGINT.
   */
  exit({ error }: Report): never {
    if (error === undefined) process.exit(EXIT_CODE.done);
    if (this.signal !== null) process.exit(128 + constants.signals[this.signal]);
    const said = oneLine(`${error.code}: ${error.message}`);
    console.error(`${said} Exit code ${EXIT_CODE.failed}. NEON_MIGRATE_DEBUG=1 shows the stack.`);
    const { stack } = toError(this.thrown);
    if (process.env.NEON_MIGRATE_DEBUG === "1") console.error(printable(stack ?? ""));
    process.exit(EXIT_CODE.failed);
  }
}

/** The signals that commands with a database answer. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Waits for the work, or for an end that comes before: a signal, an exception or a rejection that nobody handles, and a
 * process that has nothing left to wait for. A second signal ends the process at once.
 */
export async function untilEnded<Result>(
  work: Promise<Result>,
  signals: readonly NodeJS.Signals[] = SIGNALS,
): Promise<Result | Ending> {
  const uncaught = catchUncaught();
  let end: (ending: Ending) => void = () => undefined;
  const ended = new Promise<Ending>((resolve) => {
    end = resolve;
  });
  const onSignal = (signal: NodeJS.Signals) => end(new Ending(signal, null));
  const onIdle = () =>
    end(new Ending(null, new Error("Its work did not end, and there was nothing to wait for")));
  for (const name of signals) process.once(name, onSignal);
  process.once("beforeExit", onIdle);
  void uncaught.first.then((thrown) => end(new Ending(null, thrown)));
  try {
    return await Promise.race([work, ended]);
  } finally {
    for (const name of signals) process.removeListener(name, onSignal);
    process.removeListener("beforeExit", onIdle);
    uncaught.giveBack();
  }
}

/** The ways in which a run can be ended from outside. */
export interface WaysToEnd {
  /** Drops the connection, and makes the report of how far the run is. */
  readonly giveUp: (reason: unknown) => Report;
  /** Has the statement that runs cancelled. Returns false where there is no session. */
  readonly stop: (reason: MigratorError) => boolean;
}

/** The time for the server to cancel and roll back, and to be asked about a last transaction without an answer. */
const STOP_MS = 10_000;

/**
 * Ends the work of a command that goes to a database itself. After a signal the server has some time to say that it has
 * rolled back.
 * @returns the end of the work, or the report of a run that was given up
 */
export async function endWork<Result>(
  ending: Ending,
  work: Promise<Result>,
  { giveUp, stop }: WaysToEnd,
): Promise<Result | Report> {
  if (ending.signal === null) return giveUp(ending.thrown);
  const reason = interrupted(ending.signal);
  return stop(reason) ? await within(work, STOP_MS, () => giveUp(reason)) : giveUp(reason);
}

/** Makes the failure of a command whose work is dropped. */
export function reasonOf({ signal, thrown }: Ending): unknown {
  return signal === null ? thrown : interrupted(signal);
}

function interrupted(signal: NodeJS.Signals): MigratorError {
  return new MigratorError(
    "INTERRUPTED",
    `${signal} stopped this command; what was not committed is rolled back. The next run goes on with what is pending.`,
    { retryable: true },
  );
}
