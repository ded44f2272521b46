import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { withRequest } from "../../../../bin/options.ts";
import { forCommand, inFlags } from "../../../../bin/render/in-flags.ts";
import { REQUEST_KEYS } from "../../../../lib/request.ts";

const FLAGS = new Map(
  withRequest(new Command()).options.map(({ long, argChoices }) => [long, argChoices] as const),
);

/** Literals of a source file, with a name in the place of what is computed. */
function textsIn(path: string): readonly string[] {
  const source = readFileSync(path, "utf8").replaceAll(/^\s*(?:\/\*|\*|\/\/).*$/gm, "");
  return Array.from(source.matchAll(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g))
    .map(([literal]) => literal.slice(1, -1).replaceAll('\\"', '"'))
    .map((text) => text.replaceAll(/\$\{[^}]*\}/g, "x"));
}

/** Only these speak to whoever wrote an event by hand, or read a file of ours. */
const OF_EVENTS = /^lib\/(?:events|unknown-fields|handler|queued-runs)/;

const MESSAGES = readdirSync("lib", { recursive: true, encoding: "utf8" })
  .map((path) => join("lib", path))
  .filter((path) => path.endsWith(".ts") && !OF_EVENTS.test(path))
  .flatMap(textsIn)
  .filter((text) => / /.test(text) && /[.:;]|^[a-z]/.test(text));

/** Those that come in an event alone. */
const OF_CALLS = ["target", "expect"];
const KEYS = REQUEST_KEYS.filter((key) => !OF_CALLS.includes(key));

const FIELD = new RegExp(
  `"(?:${KEYS.join("|")})"|\\b(?:${KEYS.filter((key) => /[A-Z]/.test(key)).join("|")})\\b`,
);

describe("the command line is told of flags", () => {
  const speaking = MESSAGES.filter((text) => FIELD.test(text));

  test("by every message that names a field of a request", () => {
    expect(speaking.length).toBeGreaterThan(8);
    expect(speaking.map(inFlags).filter((text) => FIELD.test(text))).toEqual([]);
  });

  test("which the commands have, with these values", () => {
    const named = MESSAGES.flatMap((text) => [
      ...inFlags(text).matchAll(/(--[a-z-]+)(?: ([a-z]+)\b)?/g),
    ]).filter(([, flag = ""]) => KEYS.some((key) => inFlags(`"${key}": "x"`) === `${flag} x`));

    expect(named.length).toBeGreaterThan(8);
    for (const [, flag = "", value = ""] of named) {
      expect([...FLAGS.keys()]).toContain(flag);
      const choices = FLAGS.get(flag);
      if (choices !== undefined) expect(choices).toContain(value);
    }
  });

  test.for([
    ['Send "executor": "auto".', "Pass --executor auto."],
    ['or apply it with "outOfOrder": "apply".', "or apply it with --out-of-order apply."],
    [
      "Wait for it, raise lockTimeoutMs, or end it.",
      "Wait for it, raise --lock-timeout-ms, or end it.",
    ],
    ['The request\'s ddlLockTimeoutMs is "x".', '--ddl-lock-timeout-ms is "x".'],
    ["belongs to no migration of this bundle.", "belongs to no migration of this folder."],
    ["Raise the function's time-out, or timeoutMs, if", "Raise --timeout-ms, if"],
    ["Raise the function's time-out, or split", "Raise --timeout-ms, or split"],
    ['column "action" of relation "x"', 'column "action" of relation "x"'],
  ] as const)("%s", ([sent, typed]) => {
    expect(forCommand(sent, true)).toBe(typed);
  });

  test("and of the bundle of a function where it is one", () => {
    expect(forCommand('in the bundle; "ahead": "warn"', false)).toBe("in the bundle; --ahead warn");
  });
});
