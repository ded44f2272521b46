import { describe, expect, test } from "vitest";
import type { Look } from "../../../lib/execute/blockers.ts";
import { RunTimes } from "../../../lib/execute/run-times.ts";
import type { SessionFacts } from "../../../lib/postgres/activity.ts";

/** Times by a clock that a test sets. */
function setUp() {
  let now = 0;
  const times = new RunTimes(() => now);
  const at = (ms: number) => {
    now = ms;
    return times;
  };
  return {
    at,
    turn: (ms: number, migration: string, statement: number) =>
      at(ms).turned({ migration, index: statement - 1 }),
    leave: (ms: number) => at(ms).turned(null),
    look: (ms: number, look: Partial<Look>) =>
      at(ms).saw({ ahead: [], behind: [], waitedMs: null, longestMs: null, ...look }),
    told: (...counts: number[]) =>
      times.told(
        counts.map((statements, index) => ({ tag: "abc".charAt(index), statements })),
        [],
      ),
  };
}

function session(pid: number): SessionFacts {
  const unknown = { state: null, since: null, transactionSeconds: null, stateSeconds: null };
  return { pid, role: "app", application: `client ${pid}`, query: "select 'secret'", ...unknown };
}

const named = (pid: number) => ({ pid, gid: null, application: `client ${pid}`, role: "app" });

describe("the times of statements", () => {
  test("are those between their ends, and nothing is told of what was not sent", () => {
    const { turn, leave, told } = setUp();
    turn(100, "a", 1);
    turn(130, "a", 2);
    leave(135);
    turn(150, "a", 3);
    turn(170, "b", 2);
    leave(180);

    expect(told(3, 2, 1).applied).toEqual([
      { tag: "a", statements: 3, startedMs: 100, statementMs: [30, 5, 35] },
      { tag: "b", statements: 2, startedMs: 170, statementMs: [null, 10] },
      { tag: "c", statements: 1 },
    ]);
  });

  test("are those of the last try", () => {
    const { turn, leave, told } = setUp();
    turn(100, "a", 1);
    turn(110, "a", 2);
    turn(120, "b", 1);
    leave(150);
    turn(200, "a", 1);
    turn(230, "a", 2);
    leave(240);

    expect(told(2, 1).applied).toEqual([
      { tag: "a", statements: 2, startedMs: 200, statementMs: [30, 10] },
      { tag: "b", statements: 1 },
    ]);
  });

  test("go on while a statement runs", () => {
    const { turn, at, told } = setUp();
    turn(100, "a", 1);
    at(350);

    expect(told(2).applied).toMatchObject([{ startedMs: 100, statementMs: [250] }]);
  });
});

describe("a wait", () => {
  test("lasts from its begin by the server's clock to the end of its statement", () => {
    const { turn, leave, look, told } = setUp();
    turn(100, "a", 1);
    look(400, { ahead: [session(1)], waitedMs: 250 });
    look(700, { ahead: [session(2)], waitedMs: 550 });
    leave(800);

    expect(told(1).waits).toEqual([
      {
        ...{ migration: "a", statement: 1, startedMs: 150, durationMs: 650 },
        blockedBy: [named(1), named(2)],
      },
    ]);
  });

  test("is over as soon as a look sees nobody ahead", () => {
    const { turn, leave, look, told } = setUp();
    turn(0, "a", 1);
    look(400, { ahead: [session(1)], waitedMs: 300 });
    look(500, {});
    look(900, { ahead: [session(1)], waitedMs: 100 });
    leave(1_000);

    expect(told(1).waits).toMatchObject([
      { startedMs: 100, durationMs: 300 },
      { startedMs: 800, durationMs: 200 },
    ]);
  });

  test("is one where its statement is tried again, and another where it is not the same", () => {
    const { turn, leave, look, told } = setUp();
    for (const ms of [0, 2_000]) {
      turn(ms, "a", 1);
      turn(ms + 10, "a", 2);
      look(ms + 20, {});
      look(ms + 500, { ahead: [session(1)], waitedMs: 490 });
      leave(ms + 1_000);
      look(ms + 1_500, {});
    }
    turn(4_000, "a", 1);
    look(4_400, { ahead: [session(1)], waitedMs: 400 });
    leave(4_500);

    expect(told(2).waits).toMatchObject([
      { statement: 2, startedMs: 10, durationMs: 2_990 },
      { statement: 1, startedMs: 4_000, durationMs: 500 },
    ]);
  });

  test("is not told of a statement that began when it was over", () => {
    const { turn, look, told } = setUp();
    turn(0, "a", 1);
    turn(1_000, "a", 2);
    look(1_010, { ahead: [session(1)], waitedMs: 900 });

    expect(told(2).waits).toEqual([]);
  });

  test("has no statement behind the last one of its migration, nor outside of them", () => {
    const { turn, leave, look, told } = setUp();
    look(50, { ahead: [session(1)], waitedMs: 50 });
    leave(60);
    turn(100, "a", 2);
    look(200, { ahead: [session(1)] });
    leave(250);

    expect(told(1).waits).toMatchObject([
      { migration: null, statement: null, startedMs: 0, durationMs: 60 },
      { migration: "a", statement: null, startedMs: 200, durationMs: 50 },
    ]);
  });

  test("names five sessions, and there are a hundred", () => {
    const { turn, look, told } = setUp();
    turn(0, "a", 1);
    for (let pid = 1; pid < 9; pid += 1) look(pid * 10, { ahead: [session(pid)] });
    for (let index = 2; index < 200; index += 1) {
      turn(index * 1_000, "a", index);
      look(index * 1_000 + 500, { ahead: [session(1)] });
    }

    const { waits } = told(200);
    expect(waits[0]?.blockedBy.map(({ pid }) => pid)).toEqual([1, 2, 3, 4, 5]);
    expect(waits.length).toBe(100);
  });
});

test("a stall lasts over statements, as long as somebody is seen behind the run", () => {
  const { turn, leave, look, told } = setUp();
  turn(0, "a", 1);
  look(500, { behind: [session(7)], longestMs: 400 });
  turn(600, "a", 2);
  look(1_500, { behind: [session(7), session(8)], longestMs: 1_400 });
  leave(1_600);
  look(2_500, {});

  expect(told(2).stalls).toEqual([
    {
      ...{ migration: "a", statement: 1, startedMs: 100, durationMs: 1_500 },
      ...{ sessions: 2, longestMs: 1_400, examples: [named(7), named(8)] },
    },
  ]);
});
