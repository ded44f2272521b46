import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MAX_PAGE_BYTES, renderPage } from "../../../lib/page/page.ts";
import type { Report } from "../../../lib/report/report.ts";
import {
  bundleFor,
  driftedStatus,
  failedRun,
  HOSTILE,
  rehearsedRun,
  successfulRun,
  waitingRun,
  withoutTimes,
} from "../../setup/html-pages.ts";
import { seenIn } from "../../setup/seen-in-page.ts";

/** A run of so many migrations, with as many waits as a report holds. */
function stalledRun(count: number): Report {
  const { waits, stalls, lockouts } = waitingRun();
  const many = <Entry>(list: readonly Entry[]) =>
    Array.from({ length: 100 }, () => list.slice(-1)).flat();
  const lists = { waits: many(waits), stalls: many(stalls), lockouts: many(lockouts) };
  return { ...successfulRun(count, 40), ...lists };
}

describe("a text from a database", () => {
  test.each(HOSTILE.map((text) => [text]))("stays a text on a page: %j", (text) => {
    const harmless = [failedRun("x"), driftedStatus("x"), rehearsedRun("x")].map((report) =>
      seenIn(renderPage(report, bundleFor(report, "x"))),
    );
    const hostile = [failedRun(text), driftedStatus(text), rehearsedRun(text)].map((report) =>
      seenIn(renderPage(report, bundleFor(report, text))),
    );

    for (const [index, seen] of hostile.entries()) {
      expect(seen.errors).toEqual([]);
      expect([...seen.tags]).toEqual([...(harmless[index]?.tags ?? [])]);
      expect([...seen.attributes]).toEqual([...(harmless[index]?.attributes ?? [])]);
    }
  });

  test("is shown as it is, and what is not seen as its escape", () => {
    const { text } = seenIn(renderPage(failedRun("</script> & a\u202eb"), null));

    expect(text).toContain("</script> & a\\u202eb");
    expect(text).not.toContain("\u202e");
  });
});

describe("a page", () => {
  test("loads nothing, runs nothing, and allows its own style alone", () => {
    const page = renderPage(failedRun(), bundleFor(failedRun()));
    const style = /<style>(.*?)<\/style>/s.exec(page)?.[1] ?? "";
    const hash = createHash("sha256").update(style).digest("base64");
    const { tags, attributes, errors } = seenIn(page);

    expect(errors).toEqual([]);
    expect(page).toContain(`default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;`);
    expect(
      ["script", "img", "link", "iframe", "object", "form"].filter((tag) => tags.has(tag)),
    ).toEqual([]);
    expect(["style", "src", "href", "onclick"].filter((name) => attributes.has(name))).toEqual([]);
    expect(["header", "main", "footer", "h1"].map((tag) => tags.get(tag))).toEqual([1, 1, 1, 1]);
  });

  test("of a run shows its request, its outcome, its failure and the way out", () => {
    const { text } = seenIn(renderPage(failedRun("the words"), null));

    expect(text).toContain("Askedup, transaction each, ddlLockTimeoutMs 500");
    expect(text).toContain("ByHTTP the words");

    expect(text).toContain(
      "0002_the words, statement 2 failed, after 2 migrations: MIGRATION_FAILED.",
    );
    expect(text).toContain("SQLSTATE 23505");
    expect(text).toContain("The way out");
    expect(text).toContain("select the words");
  });

  test("of a database shows drift, what is half applied, and the run that is under way", () => {
    const report = driftedStatus();
    const { text } = seenIn(renderPage(report, bundleFor(report)));

    for (const words of [
      "modified since",
      "out of order",
      "ahead: in no file",
      "half applied: 1 of 3",
    ]) {
      expect(text).toContain(words);
    }
    expect(text).toContain("A run is under way");
    expect(text).toContain("left to do");
    expect(text).toContain("ACCESS EXCLUSIVE on bookings: reads and writes wait");
  });

  test("of a run shows when each statement ran, and who waited for whom", () => {
    const report = waitingRun();
    const page = renderPage(report, null);
    const { text } = seenIn(page);

    expect(text).toContain("4 statements · waited 3.60 s");
    expect(text).toContain("0001_step_bookings, statement 2 waited 3.60 s, from 258 ms on, for:");
    expect(text).toContain("psql pid 4711, role shop-api");
    expect(text).toContain("the prepared transaction shop-api role owner");
    expect(text).toContain("Outside of the migrations the run waited 40 ms");
    expect(text).toContain("Up to 7 other sessions waited for the run for 2.98 s");
    expect(text).toContain(
      "Others were locked out for 5.01 s, from statement 2 of 0001_step_bookings (ACCESS EXCLUSIVE on shop-api) to its end.",
    );
    expect(text).toContain("Others locked out5.01 s");
    expect(page.match(/<p class=[dt]>/g)).toHaveLength(20);
    // The axis ends at 6 s: 0001 began at 2.544 s, and its second statement took from 2.558 s to 3.958 s.
    expect(page).toContain('<path d="M424 5h242.8"/><path class="w" d="M43 5h600"/>');
    expect(page).toContain('<path d="M426.3 5h233.3"/>');
  });

  test("of a rehearsal shows what would stand still, what is written anew, and what it cannot show", () => {
    const { text } = seenIn(renderPage(rehearsedRun(), null));

    for (const words of [
      "1 migration rehearsed on a branch: it went well.",
      "public.orders reads and writes wait 2.70 s",
      "from statement 2 of 0001_orders to the COMMIT · 49.7 MB, 200,000 rows",
      "public.orders_pkey of public.orders writes wait 340 ms",
      "public.orders is written anew by statement 2 of 0001_orders",
      "The branch neon-migrate-orders of br-main-1 is deleted again. 1 statement in 2.90 s, 68.7 MB of write-ahead log, the database 62.1 MB → 68.3 MB.",
      "Nobody else used the branch.",
    ]) {
      expect(text).toContain(words);
    }
    expect(text).not.toContain("Nothing that was there before");
  });

  test("of a rehearsal holds what was seen against the limits, table by table", () => {
    const { rehearsal, ...report } = rehearsedRun();
    if (rehearsal == null) expect.fail("There is no rehearsal.");
    const limits = { blockedMs: 500, totalMs: 600_000 };
    const page = renderPage({ ...report, rehearsal: { ...rehearsal, limits } }, null);
    const { text } = seenIn(page);

    expect(text).toContain("The longest standstill, 2.70 s, exceeds its limit of 500 ms.");
    expect(text).toContain("The time of all statements, 2.90 s, keeps its limit of 10 min 0 s.");
    expect(page).toContain('<span class="pill bad">reads and writes wait 2.70 s, at most 500 ms');
    expect(page).toContain('<span class="pill open">writes wait 340 ms<');
  });

  test("of a rehearsal shows a hundred relations at the most", () => {
    const { rehearsal, ...report } = rehearsedRun();
    if (rehearsal == null) expect.fail("There is no rehearsal.");
    const standstills = Array.from({ length: 101 }, () => rehearsal.standstills.slice(0, 1)).flat();
    const page = renderPage({ ...report, rehearsal: { ...rehearsal, standstills } }, null);

    expect(page.match(/reads and writes wait/g)).toHaveLength(100);
    expect(page).toContain("<li>1 more in the report</li>");
  });

  test("of a rehearsal says it where nothing would stand still, unless it failed", () => {
    const of = (status: "passed" | "failed") => {
      const { rehearsal, ...report } = rehearsedRun();
      if (rehearsal == null) expect.fail("There is no rehearsal.");
      const quiet = { ...rehearsal, status, standstills: [], rewrites: [] };
      return seenIn(renderPage({ ...report, rehearsal: quiet }, null)).text;
    };

    expect(of("passed")).toContain("Nothing that was there before would stand still.");
    expect(of("failed")).not.toContain("Nothing that was there before would stand still.");
  });

  test("of a failed run shows how far each migration came", () => {
    const { text } = seenIn(renderPage(failedRun(), bundleFor(failedRun())));

    expect(text).toContain("3 statements · 3.59 s");
    expect(text).toMatch(/3\.58 sALTER TABLE bookings ADD COLUMN c1[^\n]*failed here/);
  });

  test("of a report without such times has the migrations one after the other", () => {
    const report = withoutTimes(waitingRun());
    const page = renderPage(report, null);

    expect(seenIn(page).errors).toEqual([]);
    // Connect, lock and plan took 224 ms, and the first migration 20 ms: here the axis ends at 6 s, too.
    expect(page).toContain('<path d="M37.3 5h3.3"/>');
    expect(page).not.toMatch(/<p class=[dt]>|Who waited/);
  });

  test("hides the passwords in the SQL of a bundle", () => {
    const report = successfulRun(1, 1);
    const page = renderPage(report, bundleFor(report, "x'; CREATE ROLE r PASSWORD 'geheim99"));

    expect(page).not.toContain("geheim99");
  });

  test.each([
    ["of 300 migrations and 4,000 statements", successfulRun(300, 14), true],
    ["of 500 migrations that others waited for", stalledRun(500), false],
    ["whose SQL is too long", successfulRun(50, 1_000), false],
    ["of a million characters that are escaped", failedRun("&".repeat(100_000)), false],
  ])("%s is short", (_name, report, hasSql) => {
    const page = renderPage(report, bundleFor(report));

    expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(MAX_PAGE_BYTES);
    expect(page.includes("ADD COLUMN c0")).toBe(hasSql);
  });
});
