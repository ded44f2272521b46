/** An error as a state machine sees it: a name that a Retry or a Catch may list, and a cause. */
export class StateError extends Error {
  /** The name: `States.Timeout`, `Lambda.TooManyRequestsException`, or the type that a function threw. */
  readonly error: string;
  readonly reason: string | undefined;
  /** Ends the execution: no Retry and no Catch hears of it. */
  readonly isTerminal: boolean;

  constructor(error: string, reason?: string, { isTerminal = false } = {}) {
    super(reason === undefined ? error : `${error}: ${reason}`);
    this.name = error;
    this.error = error;
    this.reason = reason;
    this.isTerminal = isTerminal;
  }

  /** The error as an input of the next state, `$states.errorOutput`. */
  get output(): { readonly Error: string; readonly Cause: string } {
    return { Error: this.error, Cause: this.reason ?? "" };
  }
}

/** A part of a definition that this stand-in does not have. */
export class NotStoodIn extends Error {
  constructor(path: string) {
    super(`${path} is not stood in for.`);
    this.name = "NotStoodIn";
  }
}

/** A definition that the service refuses. */
export class InvalidDefinition extends Error {
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.name = "InvalidDefinition";
  }
}

/** Somebody stopped the execution. */
export class Aborted extends Error {
  constructor() {
    super("The execution was stopped.");
    this.name = "Aborted";
  }
}

/** Waits for work, or for the end of the execution; the work itself goes on. */
export function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Aborted());
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", abort))
      .catch(() => undefined);
  });
}
