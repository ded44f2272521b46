import { expect, test } from "vitest";
import { describeRun, type RunRow } from "../../../lib/queued-runs/record.ts";

const at = "2026-11-25T08:00:00.000Z";

const queued: RunRow = {
  ...{ state: "queued", requestedAt: at, requestedBy: null, requestId: null, startedAt: null },
  ...{ seenAt: null, progress: null, finishedAt: null, report: null },
  ...{ silentSeconds: 1, connected: false },
};
const running: RunRow = { ...queued, state: "running", requestId: "r", startedAt: at, seenAt: at };

const stateOf = (row: RunRow) => describeRun("id", "/migrations/runs/id", row).state;

test("a run that shows no sign of life is lost when its session is gone as well", () => {
  const states = [
    stateOf({ ...running, silentSeconds: 20 }),
    stateOf({ ...running, silentSeconds: 31, connected: true }),
    stateOf({ ...running, silentSeconds: 31 }),
    stateOf({ ...running, state: "finished", silentSeconds: 100_000 }),
  ];

  expect(states).toEqual(["running", "running", "lost", "finished"]);
});

test("a run that Lambda has given up is lost, and not before", () => {
  const inTime = describeRun("id", "", { ...queued, silentSeconds: 21_000 });
  const dropped = describeRun("id", "", { ...queued, silentSeconds: 21_601 });

  expect([inTime.state, dropped.state]).toEqual(["queued", "lost"]);
  expect(dropped.message).toContain("Nothing was run.");
});
