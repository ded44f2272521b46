import type { Log } from "../../lib/log.ts";
import type { SessionFacts } from "../../lib/postgres/activity.ts";
import { errorColors } from "../print.ts";
import { ago } from "./ago.ts";
import { openSink, type Told } from "./live.ts";
import { lineTexts } from "./printable.ts";
import { type RunPlace, RunView } from "./run-view.ts";

type Fields = Readonly<Record<string, unknown>>;

const SENTENCES: Readonly<Record<string, (fields: Fields) => string>> = {
  connected: () => "Connected, reading the ledger",
  "rights.denied": ({ denied }) =>
    `AWS does not allow it yet: ${denied}. Trying again, for a minute at most.`,
  "lock.waiting": () => "Another run holds the migration lock. Waiting for it.",
  "lock.abandoned-session-ended": ({ pid }) => `Ended the abandoned session ${pid} of another run.`,
  statement: ({ migration, done, total }) =>
    `${done} of ${total} statements done, now in ${migration}.`,
  "rehearsal.branch": ({ branch }) => `Made the branch ${branch}. Waiting until it is ready.`,
  "rehearsal.ready": () => "The branch is ready.",
  "restore.branch": ({ branch }) => `Made the branch ${branch}. Waiting until it is ready.`,
  "restore.begins": ({ branch, agoMs, preserved, windowSeconds }) =>
    `${branch} goes back ${ago(Number(agoMs))}. What was written since moves to a new branch, ${preserved}-…, and is not deleted. Neon keeps the last ${ago(Number(windowSeconds) * 1_000)} of this project.`,
  "restore.begun": ({ branch, preserved }) =>
    `Neon restores ${branch}, and keeps its present state in ${preserved}.`,
  "transaction.retry": () => "Others use the tables. Trying again.",
  "executor.fallback": () =>
    "Drizzle's own migrator may not create its ledger here. Going on statement by statement.",
  "invoke.waiting": ({ seconds }) => `Still waiting for the function, ${seconds} s so far.`,
  "invoke.retry": ({ message }) => `${message} Trying again.`,
  "run.again": () => "The connection was lost. Connecting again and reading the ledger.",
  "run.stopping": () =>
    "Stopping: waiting for the server to cancel the statement. Another signal ends this at once.",
};

/** Events that a view keeps, and has lines for. */
const FACTS: readonly string[] = ["planned", "migration.applied", "waiting", "connect.retry"];

/** Events that only a picture of the moment shows: a log would be longer by them, and say no more. */
const FLEETING: readonly string[] = ["connected"];

/** The display of a command while it works, on standard error. */
export interface Shown {
  /** Hears what the work tells. */
  readonly log: Log;
  /** The server has turned to this statement. */
  reached(place: RunPlace): void;
  /** The work waits for these sessions. */
  waits(sessions: readonly SessionFacts[]): void;
  /** Shows a line that is no event of ours. */
  say(line: string): void;
  /** Ends the display. @returns how much of what the report says stays on standard error */
  end(): Told;
}

/** The display of a command that is told to be quiet. */
export const NOTHING_SHOWN: Shown = {
  log: () => undefined,
  reached: () => undefined,
  waits: () => undefined,
  say: () => undefined,
  end: () => "nothing",
};

/**
 * Begins to show how a command goes on: a picture of the moment on a terminal, which is rewritten in place, and elsewhere a
 * line for each migration, and a sign of life where nothing else was said for 30 s.
 * @param doing what the command does first
 */
export async function startProgress(doing: string): Promise<Shown> {
  const colors = errorColors();
  const view = new RunView(doing, colors);
  const sink = await openSink(view);
  return {
    log: (event, fields = {}) => sink.write(hear(view, event, fields)),
    reached: (place) => sink.write(view.reached(place)),
    waits: (sessions) => sink.write(view.waits(sessions)),
    say: (line) => sink.say(line),
    end: () => {
      const told = sink.end();
      return view.isHeaded ? told : "nothing";
    },
  };
}

/** Whether the display has words for an event. */
export function isTold(event: string): boolean {
  return event in SENTENCES || FACTS.includes(event);
}

/** Tells an event to the view. @returns the lines that a log has for it */
export function hear(view: RunView, event: string, fields: Fields): readonly string[] {
  switch (event) {
    case "planned":
      return view.planned(fields);
    case "migration.applied":
      return view.applied(String(fields.tag), Number(fields.durationMs ?? 0));
    case "waiting":
      return view.waits(sessionsIn(fields.blockers));
    case "connect.retry":
      return view.retries(retryReason(lineTexts(fields)), Number(fields.attempt));
    case "statement":
      return view.counted(String(fields.migration), Number(fields.done));
    default: {
      const text = renderProgress(event, fields);
      const told = text === null ? [] : view.notes(text);
      return FLEETING.includes(event) ? [] : told;
    }
  }
}

function retryReason({ code, reason }: Fields): string {
  return typeof reason === "string" ? reason : `The database does not answer yet (${code})`;
}

/**
 * Renders an event of a run for a person at a terminal.
 * @returns null for an event that is for logs only
 */
export function renderProgress(event: string, fields: Fields): string | null {
  return SENTENCES[event]?.(lineTexts(fields)) ?? null;
}

/** Reads the sessions of an event that came through the log of a function. */
function sessionsIn(value: unknown): readonly SessionFacts[] {
  const text = (each: unknown) => (typeof each === "string" ? each : null);
  const number = (each: unknown) => (typeof each === "number" ? each : null);
  return (Array.isArray(value) ? value : []).map((session) => {
    const { pid, gid, role, application, state, since, transactionSeconds, stateSeconds } =
      Object(session);
    return {
      ...{ pid: Number(pid), gid: text(gid), role: text(role), application: text(application) },
      ...{ state: text(state), since: text(since), query: null },
      ...{ transactionSeconds: number(transactionSeconds), stateSeconds: number(stateSeconds) },
    };
  });
}
