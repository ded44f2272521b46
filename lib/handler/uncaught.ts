const EVENTS = ["uncaughtException", "unhandledRejection"] as const;

type Listener = (thrown: unknown) => void;

/** Of the calls that are going on: which of them threw is not to be told. */
const listeners = new Set<Listener>();
let giveBack: () => void = () => undefined;

/**
 * Hands exceptions and rejections that nobody handles to one listener, and to no others but those of calls that go on at
 * the same time, until the returned function is called. The client of nodejs22.x listens too: it would answer the call
 * with them and end the process, before a caller that waits elsewhere is told (aws-lambda-ric 3.3.0,
 * `Runtime._setErrorCallbacks`).
 */
export function catchUncaught(listener: Listener): () => void {
  if (listeners.size === 0) giveBack = takeOver();
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) giveBack();
  };
}

function tell(thrown: unknown): void {
  for (const listener of listeners) listener(thrown);
}

/** @returns what gives the events back to those who listened before */
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
