import { MigratorError, toError } from "../lib/errors.ts";
import { catchUncaught } from "../lib/handler/uncaught.ts";
import type { Report } from "../lib/report/report.ts";
import { oneLine, printable } from "../lib/text.ts";
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
   * error, where JSON has standard output.
   */
  exit({ error }: Report): never {
    if (this.signal === null && error !== undefined) {
      const said = oneLine(`${error.code}: ${error.message}`);
      console.error(`${said} Exit code ${EXIT_CODE.failed}. NEON_MIGRATE_DEBUG=1 shows the stack.`);
      const { stack } = toError(this.thrown);
      if (process.env.NEON_MIGRATE_DEBUG === "1") console.error(printable(stack ?? ""));
    }
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
  const onIdle = () => end(new Ending(null, new Error("It waited for nothing, and had not ended")));
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

/** Makes the failure of a command that goes to a database itself. */
export function interruption({ signal, thrown }: Ending): unknown {
  if (signal === null) return thrown;
  return new MigratorError(
    "CONNECTION_LOST",
    `${signal} ended this run. PostgreSQL rolls back what was not committed. Run it again: the ledger says what is done.`,
    { retryable: true },
  );
}
