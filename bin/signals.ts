import { MigratorError } from "../lib/errors.ts";

/** The signals that end a command from outside. */
export interface Signals {
  readonly caught: Promise<NodeJS.Signals>;
  release(): void;
}

/** Waits for Ctrl-C or a stop from outside. A second signal ends the process at once. */
export function catchSignals(): Signals {
  const names = ["SIGINT", "SIGTERM"] as const;
  let release: () => void = () => undefined;
  const caught = new Promise<NodeJS.Signals>((resolve) => {
    for (const name of names) process.once(name, resolve);
    release = () => {
      for (const name of names) process.removeListener(name, resolve);
    };
  });
  return { caught, release };
}

/** Makes the failure of a command that a signal has ended. */
export function interruption(signal: string): MigratorError {
  return new MigratorError(
    "CONNECTION_LOST",
    `${signal} ended this run. PostgreSQL rolls back what was not committed. Run it again: the ledger says what is done.`,
    { retryable: true },
  );
}
