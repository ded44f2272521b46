import { describe, expect, test } from "vitest";
import { eventIn, showLogLine, tailLines } from "../../../../bin/invoke/function-log.ts";

const LINE = JSON.stringify({ event: "migration.applied", requestId: "1", tag: "0001_a" });
/** Returns what is shown of a line: a text, or the event that the display words. */
function shown(line: string): readonly unknown[] {
  const told: unknown[] = [];
  showLogLine(line, {
    log: (event, fields) => told.push([event, fields]),
    say: (text) => told.push(text),
  });
  return told;
}

const FOUND = { event: "migration.applied", fields: { tag: "0001_a" } };

describe("a line of a function's log", () => {
  test.each([
    ["alone", LINE],
    ["behind Lambda's columns", `2026-11-25T08:00:00.000Z\t8f507cfc\tERROR\t${LINE}`],
    ["in Lambda's JSON", JSON.stringify({ level: "ERROR", requestId: "8f", message: LINE })],
  ])("is found %s", (_where, line) => {
    expect(eventIn(line)).toEqual(FOUND);
  });

  test.each(["", "END RequestId: 1", "{", '{"message":1}', '{"schemaVersion":1}', "{}"])(
    "is none of ours: %j",
    (line) => {
      expect(eventIn(line)).toBeNull();
      expect(shown(line)).toEqual([line]);
    },
  );

  test("is an event for the display where that has words for it, and its facts otherwise", () => {
    const waiting = JSON.stringify({ event: "lock.waiting", requestId: "1", timeoutMs: 5 });

    expect(shown(waiting)).toEqual([["lock.waiting", { timeoutMs: 5 }]]);
    expect(shown(LINE)).toEqual([["migration.applied", { tag: "0001_a" }]]);
    expect(shown('{"event":"plan.again","outrun":1}')).toEqual(["plan.again outrun=1"]);
  });

  test("says nothing where the report follows", () => {
    expect(shown('{"event":"run.finished","report":{}}')).toEqual([]);
  });
});

test("a tail that begins in the middle of a line is shown from the next one on", () => {
  expect(tailLines("START RequestId: 1\nEND\n")).toEqual(["START RequestId: 1", "END"]);
  expect(tailLines('"pending":[]}\nEND\n')).toEqual(["END"]);
  expect(tailLines("")).toEqual([]);
});
