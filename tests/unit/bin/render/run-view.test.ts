import pc from "picocolors";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hear, lines, SIGN_OF_LIFE_MS } from "../../../../bin/render/progress.ts";
import { RunView } from "../../../../bin/render/run-view.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});

afterEach(() => {
  vi.useRealTimers();
});

const HOLDER = {
  ...{ pid: 11, role: "shop", application: "nightly", state: "idle in transaction" },
  ...{ since: "2026-01-01 00:00:00 UTC", transactionSeconds: 5, stateSeconds: 4 },
  query: "select 1",
};

/** A view of a run of two migrations with two statements each. */
function viewOf({ atomic }: { readonly atomic: boolean }) {
  const view = new RunView("Connecting", pc.createColors(false));
  const pending = ["0001_a", "0002_b"].map((tag) => ({ tag, statements: 2 }));
  return {
    view,
    planned: hear(view, "planned", { atomic, pending }),
    reach: (migration: string, statement: number | null) =>
      view.reached({ migration, statement, text: `create table\n  t${statement}` }),
    applied: (tag: string) => hear(view, "migration.applied", { tag, durationMs: 7 }),
    frame: () => view.frame(80).slice(1),
  };
}

test("a log has a sign of life where nothing was said for 30 s, and no other line", () => {
  const { view, reach } = viewOf({ atomic: true });
  const written: string[] = [];
  const sink = lines(view, (line) => written.push(line));

  reach("0001_a", 2);
  vi.advanceTimersByTime(SIGN_OF_LIFE_MS - 1);
  sink.write(["something else"]);
  vi.advanceTimersByTime(SIGN_OF_LIFE_MS - 1);
  expect(written).toEqual(["something else"]);
  vi.advanceTimersByTime(1);
  view.waits([HOLDER]);
  vi.advanceTimersByTime(SIGN_OF_LIFE_MS);
  sink.end();
  vi.advanceTimersByTime(10 * SIGN_OF_LIFE_MS);

  expect(written.slice(1)).toEqual([
    "59 s: still in 0001_a, 2 of 2  59 s  create table t2",
    "1 min 29 s: still waiting for nightly (pid 11), 1 min 29 s so far",
  ]);
});

test("a sign of life before there is a plan says what the command does", () => {
  const view = new RunView("Connecting", pc.createColors(false));
  const written: string[] = [];
  lines(view, (line) => written.push(line));

  vi.advanceTimersByTime(SIGN_OF_LIFE_MS);
  hear(view, "lock.waiting", {});
  vi.advanceTimersByTime(SIGN_OF_LIFE_MS);

  expect(written).toEqual([
    "30 s: Connecting",
    "1 min 0 s: Another run holds the migration lock. Waiting for it.",
  ]);
});

test("a migration is ticked when it is committed, and not before", () => {
  const { planned, reach, applied, frame } = viewOf({ atomic: true });

  expect(planned).toEqual(["2 migrations pending, 4 statements, in one transaction"]);
  expect(reach("0001_a", 1)).toEqual([]);
  const [through = ""] = reach("0002_b", 1);
  expect(through).toMatch(/^· 0001_a .*not committed yet$/);
  expect(frame()).toEqual([through, "▸ 0002_b  1 of 2  0 s  create table t1"]);
  reach("0002_b", null);
  expect([...applied("0001_a"), ...applied("0002_b")]).toEqual(["✓ committed: 2 migrations"]);
  expect(frame().map((line) => line.slice(0, 1))).toEqual(["✓", "✓", "▸"]);
});

test("what a transaction has done is forgotten when it is sent again", () => {
  const { reach, frame } = viewOf({ atomic: true });

  reach("0001_a", 1);
  reach("0002_b", 1);
  reach("0001_a", 1);

  expect(frame()).toEqual(["▸ 0001_a  1 of 2  0 s  create table t1", "· 1 more pending"]);
});

test("a wait is shown until the statement that waits is done, over all attempts", () => {
  const { view, reach } = viewOf({ atomic: false });
  const isShown = () => view.frame(80).some((line) => line.includes("waiting for"));

  reach("0001_a", 2);
  expect(view.waits([HOLDER])).toContain("      last statement: select 1");
  expect(view.waits([HOLDER])).toEqual([]);
  hear(view, "transaction.retry", {});
  reach("0001_a", 1);
  reach("0001_a", 2);
  expect(isShown()).toBe(true);
  reach("0001_a", null);
  expect(isShown()).toBe(false);
});

test("the events of a stream tell the statement by its number among all", () => {
  const { view, applied, frame } = viewOf({ atomic: false });

  hear(view, "statement", { migration: "0001_a", done: 1, total: 4 });
  expect(frame()[0]).toBe("▸ 0001_a  2 of 2  0 s");
  expect(applied("0001_a")[0]).toMatch(/^✓ 0001_a /);
  hear(view, "statement", { migration: "0002_b", done: 2, total: 4 });
  expect(frame()[1]).toBe("▸ 0002_b  1 of 2  0 s");
});
