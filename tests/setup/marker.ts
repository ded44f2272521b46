import { inspect } from "node:util";
import { expect } from "vitest";

/** A password that is easy to find in any output, and that a URL must percent-encode. */
export const MARKER = "mArKer+pa ss/w%rd";

/** Its first part survives every encoding of URLs and forms. The others find a text that was cut or wrapped. */
const TRACES = [/mArKer/i, /ss\/w%rd/, /ss%2fw/i, new RegExp(btoa(MARKER).slice(0, 16))];

/** Fails the test if any of these values shows the marker password, raw or encoded, whole or in part. */
export function expectNoTrace(...left: readonly unknown[]): void {
  const text = left
    .map((each) => (typeof each === "string" ? each : inspect(each, { depth: Infinity })))
    .join("\n");
  for (const trace of TRACES) expect(text).not.toMatch(trace);
}

/** Writes a connection string without percent-encoding, as a user may do by mistake. */
export function unencoded(url: string): string {
  return url.replace(/:[^:@/]*@/, `:${MARKER}@`);
}

/** Makes SQL that raises every kind of message of the server, each with the connection string in it. */
export function tellingSql(url: string): string {
  return `do $$ begin
    raise notice 'at %', '${url}';
    raise warning 'with %', '${MARKER}';
    raise exception 'no way to %', '${url}' using
      detail = '${MARKER} and ${encodeURIComponent(MARKER)}',
      hint = 'mArKer+pa%20ss/w%25rd', errcode = '58000';
  end $$`;
}
