import { REQUEST_KEYS } from "../../lib/request.ts";

/**
 * The library's messages speak to whoever sends a request. Here they speak to whoever types a command: a field of a
 * request becomes its flag. Only sentences of ours are read, never PostgreSQL's detail or somebody's notice.
 */
export function inFlags(text: string): string {
  return text
    .replaceAll("rehearsalLimits.blockedMs", "--limit-blocked-ms")
    .replaceAll("rehearsalLimits.totalMs", "--limit-total-ms")
    .replace(ASKED, (_, key: string) => flagOf(key))
    .replace(CHOSEN, (_, key: string, value: string) => `${flagOf(key)} ${value}`)
    .replace(NAMED, flagOf)
    .replace(/\b([Ss])end (?=--)/g, (_, letter: string) => (letter === "S" ? "Pass " : "pass "));
}

/** A command has one database and one folder: what names others comes in an event alone. */
const OF_EVENTS = ["target", "expect"];
const FLAGS = REQUEST_KEYS.filter((key) => !OF_EVENTS.includes(key));
const KEYS = FLAGS.join("|");
const ASKED = new RegExp(`\\b[Tt]he request's (${KEYS})\\b`, "g");
const CHOSEN = new RegExp(`"(${KEYS})": "([a-z]+)"`, "g");
/** Words that are no English are fields without quotes, too. */
const NAMED = new RegExp(`\\b(?:${FLAGS.filter((key) => /[A-Z]/.test(key)).join("|")})\\b`, "g");

function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * Makes a sentence of a report one of a command.
 * @param hasFolder false where the migrations are in a function: then it is a bundle, and the function has a time-out
 */
export function forCommand(text: string, hasFolder: boolean): string {
  const said = inFlags(text);
  if (!hasFolder) return said;
  return said
    .replace("--relay of the command line", "--relay")
    .replace(/\b(this|in the) bundle\b(?!\.json)/g, "$1 folder")
    .replace(/\bthe function's time-out(?:, or --timeout-ms)?/g, "--timeout-ms");
}
