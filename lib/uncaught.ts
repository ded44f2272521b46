const EVENTS = ["uncaughtException", "unhandledRejection"] as const;

/**
 * Hands exceptions and rejections that nobody handles to one listener, and to nobody else, until the
 * returned function is called. The client of nodejs22.x listens too: it would answer the call with them and end
 * the process, before a caller that waits elsewhere is told (aws-lambda-ric 3.3.0, `Runtime._setErrorCallbacks`).
 */
export function catchUncaught(listener: (thrown: unknown) => void): () => void {
  const others = EVENTS.map((event) => process.rawListeners(event));
  for (const event of EVENTS) process.removeAllListeners(event).on(event, listener);
  return () => {
    for (const [index, event] of EVENTS.entries()) {
      process.off(event, listener);
      // As they were given: `rawListeners` has the wrappers of those that listen once.
      for (const other of others[index] ?? []) Reflect.apply(process.on, process, [event, other]);
    }
  };
}
