import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startLines } from "../../../lib/handler/lines.ts";

let written: string[];
let opened: number;
let breakOff: (error: unknown) => void;

const stream = {
  setContentType: () => undefined,
  write: (text: string) => written.push(text) > 0,
  end: () => undefined,
  on: (_event: "error", listener: (error: unknown) => void) => {
    breakOff = listener;
  },
};

function open(): typeof stream {
  opened += 1;
  return stream;
}

const milestone = (done: number) => ({ migration: "0000_init", done, total: 900 });

beforeEach(() => {
  vi.useFakeTimers();
  written = [];
  opened = 0;
});

afterEach(() => {
  vi.useRealTimers();
});

test("how far a run is, is told four times a second at most, and before what happens next", () => {
  const lines = startLines(stream, open);

  lines.tellWithNext({ event: "planned" });
  for (let done = 1; done <= 900; done += 1) {
    lines.progress(milestone(done));
    vi.advanceTimersByTime(1);
  }
  lines.tell({ event: "migration.applied", tag: "0000_init" });
  lines.finish("the end\n", open);

  expect(written.map((line) => (line.startsWith("{") ? JSON.parse(line) : line))).toEqual([
    { type: "progress", event: "planned" },
    { type: "progress", event: "statement", ...milestone(250) },
    { type: "progress", event: "statement", ...milestone(500) },
    { type: "progress", event: "statement", ...milestone(750) },
    { type: "progress", event: "statement", ...milestone(900) },
    { type: "progress", event: "migration.applied", tag: "0000_init" },
    "the end\n",
  ]);
  expect(opened).toBe(1);
});

test("a line comes every ten seconds also where there is nothing to say, until the end", () => {
  const lines = startLines(stream, open);

  vi.advanceTimersByTime(35_000);
  lines.finish("the end\n", open);
  // A run that did not stop in time may still have something to say.
  lines.progress(milestone(1));
  lines.tell({ event: "run.again" });
  vi.advanceTimersByTime(60_000);

  expect(written).toEqual([...Array(3).fill('{"type":"progress","event":"alive"}\n'), "the end\n"]);
});

test("nothing is written to a caller who has gone, and the error of that is known for what it is", () => {
  const lines = startLines(stream, open);
  const gone = new Error("socket hang up");

  breakOff(gone);
  lines.progress(milestone(1));
  vi.advanceTimersByTime(20_000);
  lines.finish("the end\n", open);

  expect([written, opened]).toEqual([[], 0]);
  expect([lines.isBroken(gone), lines.isBroken(new Error("another"))]).toEqual([true, false]);
});
