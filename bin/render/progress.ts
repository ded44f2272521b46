import pc from "picocolors";
import type { Log } from "../../lib/log.ts";
import { lineTexts } from "./printable.ts";

type Fields = Readonly<Record<string, unknown>>;

const SENTENCES: Readonly<Record<string, (fields: Fields) => string>> = {
  "connect.retry": ({ code, reason, attempt }) =>
    `${reason ?? `The database does not answer yet (${code})`}. Trying again (${attempt}).`,
  "rights.denied": ({ denied }) =>
    `AWS does not allow it yet: ${denied}. Trying again, for a minute at most.`,
  "lock.waiting": () => "Another run holds the migration lock. Waiting for it.",
  "lock.abandoned-session-ended": ({ pid }) => `Ended the abandoned session ${pid} of another run.`,
  statement: ({ migration, done, total }) =>
    `${done} of ${total} statements done, now in ${migration}.`,
  "transaction.retry": () => "Others use the tables. Trying again.",
  "executor.fallback": () =>
    "Drizzle's own migrator may not create its ledger here. Going on statement by statement.",
  "invoke.waiting": ({ seconds }) => `Still waiting for the function, ${seconds} s so far.`,
  "invoke.retry": ({ message }) => `${message} Trying again.`,
  "run.again": () => "The connection was lost. Connecting again and reading the ledger.",
};

/**
 * Renders an event of a run for a person at a terminal.
 * @returns null for an event that is for logs only
 */
export function renderProgress(event: string, fields: Fields): string | null {
  return SENTENCES[event]?.(lineTexts(fields)) ?? null;
}

/** Makes a log that tells a person on standard error how a run goes on. */
export function progressLog(): Log {
  return (event, fields = {}) => {
    const line = renderProgress(event, fields);
    if (line !== null) console.error(pc.dim(line));
  };
}
