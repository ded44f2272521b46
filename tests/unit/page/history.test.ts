import { describe, expect, test } from "vitest";
import type { HistoryRun } from "../../../lib/history/runs.ts";
import { type History, renderHistoryPage } from "../../../lib/page/history.ts";
import { HOSTILE } from "../../setup/html-pages.ts";
import { seenIn } from "../../setup/seen-in-page.ts";

function madeRun(index: number, text: string): HistoryRun {
  const isFailed = index === 0;
  const at = new Date(Date.UTC(2026, 10, 1, 12) - index * 3_600_000).toISOString();
  const migration = {
    ...{ tag: `000${index}_${text}`, hash: "0".repeat(64), startedAt: at, endedAt: at },
    ...{ durationMs: 1_500, statements: 3, statementsBefore: null },
  };
  return {
    ...{ requestId: `request-${index}-${text}`, startedAt: at, endedAt: at, role: text },
    ...{ durationMs: 250 * (index + 1), status: isFailed ? "failed" : "applied" },
    ...{ by: `by ${text}`, caller: null, executor: "drizzle", bundleHash: text, version: "1.0" },
    restorePoint: { lsn: `0/17C26${index}`, time: at },
    migrations: isFailed ? [] : [migration],
    error: isFailed
      ? { code: "MIGRATION_FAILED", sqlstate: "23502", message: text, migration: text }
      : null,
  } as HistoryRun;
}

function madeHistory(text: string): History {
  const database = { host: "db.example.test", name: text, serverVersion: "17.5", role: text };
  return { database, exists: true, runs: [madeRun(0, text), madeRun(1, text)], more: 3 };
}

describe("the page of a history", () => {
  test("says who ran, when, how long, what was applied, what failed, and the state before it", () => {
    const { text } = seenIn(renderHistoryPage(madeHistory("ada")));

    for (const part of [
      "5 runs known. The last one failed, at 2026-11-01 12:00 UTC.",
      ...["by ada", "2026-11-01 11:00 UTC", "500 ms", "0001_ada", "1.50 s, 3 statements"],
      ...["request-1-ada", "0/17C261", "MIGRATION_FAILED", "3 older runs not shown."],
    ]) {
      expect(text).toContain(part);
    }
  });

  test("says that there is none, or that no run has written anything", () => {
    const none = { ...madeHistory("ada"), runs: [], more: 0 };

    expect(renderHistoryPage({ ...none, exists: false })).toContain("There is no history here.");
    expect(renderHistoryPage(none)).toContain("No run has written anything.");
  });

  test.each(HOSTILE.map((text) => [text]))("keeps a hostile text as a text: %j", (text) => {
    const harmless = seenIn(renderHistoryPage(madeHistory("x")));
    const hostile = seenIn(renderHistoryPage(madeHistory(text)));

    expect(hostile.tags).toEqual(harmless.tags);
    expect(hostile.attributes).toEqual(harmless.attributes);
  });
});
