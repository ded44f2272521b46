import { describe, expect, test } from "vitest";
import { eventIn, renderLogLine, tailLines } from "../../../../bin/invoke/function-log.ts";

const LINE = JSON.stringify({ event: "migration.applied", requestId: "1", tag: "0001_a" });
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
      expect(renderLogLine(line)).toBe(line);
    },
  );

  test("is a sentence where there is one, and its facts otherwise", () => {
    const waiting = JSON.stringify({ event: "lock.waiting", requestId: "1", timeoutMs: 5 });

    expect(renderLogLine(waiting)).toBe("Another run holds the migration lock. Waiting for it.");
    expect(renderLogLine(LINE)).toBe('migration.applied tag="0001_a"');
  });

  test("says nothing where the report follows", () => {
    expect(renderLogLine('{"event":"run.finished","report":{}}')).toBeNull();
  });
});

test("a tail that begins in the middle of a line is shown from the next one on", () => {
  expect(tailLines("START RequestId: 1\nEND\n")).toEqual(["START RequestId: 1", "END"]);
  expect(tailLines('"pending":[]}\nEND\n')).toEqual(["END"]);
  expect(tailLines("")).toEqual([]);
});
