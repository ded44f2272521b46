const EVENTS = ["uncaughtException", "unhandledRejection"] as const;

type Listener = (thrown: unknown) => void;

/** The listeners of the calls that are going on. Nobody can tell which of those calls threw. */
const listeners = new Set<Listener>();
let giveBackToOthers: () => void = () => undefined;

/**
 * Takes the exceptions and rejections that nobody handles away from all listeners of the process but those of other calls,
 * until `giveBack`. The client of nodejs22.x listens too: it would answer the call with them and end the process, before
 * a caller that waits elsewhere is told (aws-lambda-ric 3.3.0, `Runtime._setErrorCallbacks`).
 * @param isStray whether an error has nothing to do with the call. Default: none is stray
 * @returns the first error, as a promise that resolves to it
 */
export function catchUncaught(isStray: (thrown: unknown) => boolean = () => false): {
  readonly first: Promise<unknown>;
  giveBack(): void;
} {
  let listener: Listener = () => undefined;
  const first = new Promise<unknown>((resolve) => {
    listener = (thrown) => {
      if (!isStray(thrown)) resolve(thrown);
    };
  });
  if (listeners.size === 0) giveBackToOthers = takeOver();
  listeners.add(listener);
  return {
    first,
    giveBack() {
      listeners.delete(listener);
      if (listeners.size === 0) giveBackToOthers();
    },
  };
}

function tell(thrown: unknown): void {
  for (const listener of listeners) listener(thrown);
}

/** @returns a function that gives the events back to those who listened before */
function takeOver(): () => void {
  const others = EVENTS.map((event) => process.rawListeners(event));
  for (const event of EVENTS) process.removeAllListeners(event).on(event, tell);
  return () => {
    for (const [index, event] of EVENTS.entries()) {
      process.off(event, tell);
      // As they were given: `rawListeners` has the wrappers of those that listen once.
      for (const other of others[index] ?? []) Reflect.apply(process.on, process, [event, other]);
    }
  };
}
