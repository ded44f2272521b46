import pc from "picocolors";
import { describe, expect, test } from "vitest";
import { exitCodeOf, type FleetAnswer } from "../../../../bin/fleet/answer.ts";
import { renderFleetMarkdown } from "../../../../bin/fleet/markdown.ts";
import { renderFleet } from "../../../../bin/fleet/render.ts";
import type { Sight } from "../../../../bin/fleet/sight.ts";
import { FleetView } from "../../../../bin/fleet/view.ts";
import type { FleetReport } from "../../../../lib/fleet/fleet-report.ts";
import { renderFleetPage } from "../../../../lib/page/fleet.ts";
import { MACHINE, partialFleet } from "../../../setup/fleet-reports.ts";

const PARTIAL = partialFleet();

const SIGHT: Sight = {
  ...{ run: "night-1", arn: `${MACHINE}:night-1`, status: "RUNNING" },
  ...{ startedAt: "2026-11-29T09:00:00.000Z", endedAt: null },
  ...{ error: null, counts: { total: 500, skipped: 10, due: 490 } },
  waves: [
    {
      ...{ name: "acme", count: 1, toleratedCount: 0, pending: 0, running: 0, succeeded: 1 },
      ...{ failed: 0, aborted: 0, state: "done", startedAt: "2026-11-29T09:00:00.000Z" },
      endedAt: "2026-11-29T09:00:02.000Z",
    },
    {
      ...{ name: "100%", count: 489, toleratedCount: 5, pending: 400, running: 50, succeeded: 37 },
      ...{ failed: 2, aborted: 0, state: "running", startedAt: "2026-11-29T09:00:02.000Z" },
      endedAt: null,
    },
  ],
  failures: [{ id: "globex", wave: "100%", code: "MIGRATION_FAILED", message: "no such column" }],
  slowest: [{ id: "initech", sinceMs: 12_400 }],
};

const answer = (report: FleetReport | null, run: Sight | null = SIGHT): FleetAnswer => ({
  ...{ schemaVersion: 1, machine: MACHINE, run, report, ledger: null },
});

const OPTIONS = {
  colors: pc.createColors(false),
  width: 100,
  verb: "report",
  quiet: false,
} as const;

describe("the report of a fleet", () => {
  test("shows waves, failures by cause, and the way on", () => {
    expect(renderFleet(answer(PARTIAL), OPTIONS)).toBe(`\
   wave  tenants  applied  up to date  failed  gone  unknown  may fail
✓  acme  1        1                                           0
!  100%  489      479      3           4       1     2        5

MIGRATION_FAILED (SQLSTATE 23505) 0012_plans, statement 2  4 tenants
    could not create unique index "plans_name"
    globex, <script>alert(1)</script> and 2 more

A tenant took 210 ms (half), 800 ms (19 of 20), 12.4 s (all). Slowest: initech 12.4 s
Newest migration: 0012_plans 493, 0011_old 7
7 tenants behind: s3://fleet-bucket/runs/night-1/tenants.jsonl
All tenants: s3://fleet-bucket/runs/night-1/tenants.jsonl
493 of 500 tenants have the newest migration: 4 failed, 1 gone, 2 unknown.
Next: ${PARTIAL.next}`);
  });

  test.each<[FleetReport["status"], number]>([
    ["applied", 0],
    ["up-to-date", 0],
    ["partial", 3],
    ["failed", 1],
    ["stopped", 1],
    ["incomplete", 1],
  ])("ends with an exit code: %s with %i", (status, code) => {
    const ended = { ...SIGHT, status: "FAILED", endedAt: "2026-11-29T09:05:00.000Z" };

    expect(exitCodeOf(answer({ ...PARTIAL, status }, ended))).toBe(code);
  });

  test("ends with 3 while a run is under way, and with 1 for one without a report", () => {
    const stopped = { ...SIGHT, status: "ABORTED", endedAt: "2026-11-29T09:05:00.000Z" };

    expect([exitCodeOf(answer(null)), exitCodeOf(answer(null, stopped))]).toEqual([3, 1]);
    expect(renderFleet(answer(null, stopped), OPTIONS)).toContain("ended as ABORTED");
  });

  test("says why a run without a report failed", () => {
    const error = { code: "FLEET_INVALID", message: "Line 4711 of the list is no JSON." };
    const broken = { ...SIGHT, status: "FAILED", endedAt: "2026-11-29T09:05:00.000Z", error };

    expect(renderFleet(answer(null, broken), { ...OPTIONS, width: 400 })).toBe(
      "The run night-1 ended as FAILED, without a report. FLEET_INVALID: Line 4711 of the list is no JSON. It ended before it had read its list, so no tenant was touched.",
    );
  });

  test("becomes a page and a summary in which every text from outside is escaped", () => {
    const page = renderFleetPage(PARTIAL);
    const markdown = renderFleetMarkdown(PARTIAL);

    expect(page).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect([page, markdown].filter((text) => text.includes("<script"))).toEqual([]);
    expect(page).toContain('<h2 id="failures">Failures by cause</h2>');
    expect(markdown).toContain("| <code>100&#37;</code>".replace("&#37;", "%"));
  });
});

describe("the view of a fleet under way", () => {
  test("tells a log each thing once", () => {
    const view = new FleetView(OPTIONS.colors);

    expect(view.saw(SIGHT)).toEqual([
      "Run night-1: 500 tenants, 10 known as up to date, 490 due.",
      "Wave acme begins.",
      "Wave acme is through: 1 well.",
      "Wave 100% begins.",
      "globex: MIGRATION_FAILED: no such column",
    ]);
    expect(view.saw(SIGHT)).toEqual([]);
    expect(view.signOfLife()).toMatch(/^Wave 100%: 39 of 489 through, /);
  });

  test("draws waves, the slowest, and the failures", () => {
    const view = new FleetView(OPTIONS.colors, () => Date.parse("2026-11-29T09:00:10.000Z"));
    view.saw(SIGHT);

    expect(view.frame(80)).toEqual([
      "Run night-1: 500 tenants, 10 known as up to date, 490 due. 0 s",
      "   wave                        through    failed",
      "✓  acme  ████████████████████  1 of 1             2 s",
      "▸  100%  ██░░░░░░░░░░░░░░░░░░  39 of 489  2       8 s",
      "slowest now: initech 12 s",
      "✗ globex: MIGRATION_FAILED: no such column",
    ]);
  });
});
