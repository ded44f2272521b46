import type { Milestone } from "../migrate/milestone.ts";
import { printableJson } from "../text.ts";
import type { ResponseStream } from "./streaming-runtime.ts";

/** Lines of JSON for a caller, as long as the caller listens. */
export interface Lines {
  /** Tells an event. */
  tell(fact: { readonly event: string } & Readonly<Record<string, unknown>>): void;
  /** Tells an event together with the next line, if there is one. */
  tellWithNext(fact: object): void;
  /** Notes how far the run is, and tells it at the next opportunity. */
  progress(done: Milestone): void;
  /** Writes the last text, whatever is told later. `open` begins an answer that has not begun yet. */
  finish(text: string, open: () => ResponseStream): void;
  /** Whether an error comes from the stream, because the caller has gone. */
  isBroken(thrown: unknown): boolean;
  /** Ends the answer. */
  end(): void;
}

/** The shortest pause between two lines about how far a run is. */
const TICK_MS = 250;
/** The longest silence. A machine between us and the caller may take a silent connection for dead. */
const ALIVE_EVERY_MS = 10_000;

/**
 * Starts lines on a stream.
 * @param open begins the answer, together with the first line: then its status is fixed
 */
export function startLines(stream: ResponseStream, open: () => ResponseStream): Lines {
  const errors: unknown[] = [];
  let sink: ResponseStream | null = null;
  let wroteAt = Date.now();
  let untold: Milestone | null = null;
  let finished = false;
  const held: object[] = [];
  stream.on("error", (error) => errors.push(error));

  function write(text: string, opener: () => ResponseStream = open): void {
    if (finished || errors.length > 0) return;
    sink ??= opener();
    sink.write(text);
    wroteAt = Date.now();
  }

  function say(fact: object): void {
    held.splice(0).forEach(say);
    write(`${printableJson({ type: "progress", ...fact })}\n`);
  }

  function sayHowFar(): void {
    if (untold === null) return;
    say({ event: "statement", ...untold });
    untold = null;
  }

  const ticking = setInterval(() => {
    sayHowFar();
    if (Date.now() - wroteAt >= ALIVE_EVERY_MS) say({ event: "alive" });
  }, TICK_MS);

  return {
    tell: (fact) => {
      sayHowFar();
      say(fact);
    },
    tellWithNext: (fact) => held.push(fact),
    progress: (done) => {
      untold = done;
    },
    finish: (text, opener) => {
      clearInterval(ticking);
      write(text, opener);
      finished = true;
    },
    isBroken: (thrown) => errors.includes(thrown),
    end: () => {
      if (errors.length === 0) sink?.end();
    },
  };
}
