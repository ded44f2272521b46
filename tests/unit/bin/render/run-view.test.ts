import pc from "picocolors";
import stringWidth from "string-width";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { lines, SIGN_OF_LIFE_MS } from "../../../../bin/render/live.ts";
import { hear } from "../../../../bin/render/progress.ts";
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

const NOBODY = "localhost could not be reached: connect ECONNREFUSED 127.0.0.1:5432";

test("attempts to connect are counted in place, and a log has one line for each reason", () => {
  const view = new RunView("Connecting", pc.createColors(false));
  const written: string[] = [];
  const sink = lines(view, (line) => written.push(line));
  const retry = (attempt: number, reason: string) =>
    sink.write(hear(view, "connect.retry", { attempt, reason, code: "UNREACHABLE" }));

  retry(1, NOBODY);
  vi.advanceTimersByTime(1_000);
  retry(2, NOBODY);
  vi.advanceTimersByTime(1_000);
  retry(3, NOBODY);
  const frame = view.frame(100);
  retry(4, "no answer within 1200 ms");
  retry(5, "no answer within 1300 ms");
  vi.advanceTimersByTime(SIGN_OF_LIFE_MS);

  expect(frame).toEqual(["▸ Connecting, attempt 4  2 s", `  ${NOBODY}`]);
  expect(written).toEqual([
    `${NOBODY}. Trying again (attempt 2).`,
    "no answer within 1200 ms. Trying again (attempt 5).",
    "32 s: Connecting, attempt 6: no answer within 1300 ms",
  ]);
});

test("the line of the present names what comes next, and at last the end", () => {
  const { view, reach, applied, frame } = viewOf({ atomic: false });
  hear(view, "transaction.retry", {});

  expect(frame()).toEqual(["▸ Others use the tables. Trying again.  0 s", "· 2 more pending"]);
  reach("0001_a", 1);
  reach("0001_a", null);
  expect(frame().slice(1)).toEqual(["▸ 0001_a  committing  0 s", "· 1 more pending"]);
  applied("0001_a");
  expect(frame().slice(1)).toEqual(["▸ 0002_b  0 s"]);
  reach("0002_b", 1);
  applied("0002_b");
  expect(frame().slice(2)).toEqual(["▸ Closing the session  0 s"]);
});

test("before the first statement the plan is shown, and not what was done before", () => {
  const view = new RunView("Connecting", pc.createColors(false));
  hear(view, "connected", {});
  expect(view.frame(80)).toEqual(["▸ Connected, reading the ledger  0 s"]);

  hear(view, "planned", { atomic: true, pending: [{ tag: "0001_a", statements: 2 }] });

  expect(view.frame(80).slice(1)).toEqual(["▸ 0001_a  0 s"]);
});

test("a picture fits the terminal, whatever the width of its characters", () => {
  const view = new RunView("Connecting", pc.createColors(false));
  const host = "ep-calm-river-a2x7k9q4.eu-central-1.aws.neon.tech";
  hear(view, "planned", {
    ...{ atomic: true, pending: [{ tag: "0001_移行", statements: 1 }], database: "shop", host },
    ...{ serverVersion: "18.4", role: "shop_owner", ledger: "drizzle.__drizzle_migrations" },
  });
  view.reached({ migration: "0001_移行", statement: 1, text: `select '${"移行".repeat(40)}'` });

  const frame = view.frame(60);

  for (const line of frame) expect(stringWidth(line)).toBeLessThan(60);
  expect(frame.join(" ").replaceAll("   ", " ")).toContain("ledger drizzle.__drizzle_migrations");
  expect(frame.find((line) => line.startsWith("▸"))).toMatch(
    /^▸ 0001_移行 {2}1 of 1 {2}0 s {2}select '(?:移行)+移?…$/,
  );
});
