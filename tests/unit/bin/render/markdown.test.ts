import { describe, expect, test } from "vitest";
import { MAX_MARKDOWN_BYTES, renderMarkdown } from "../../../../bin/render/markdown.ts";
import {
  bundleFor,
  driftedStatus,
  failedRun,
  HOSTILE,
  rehearsedRun,
  successfulRun,
  waitingRun,
} from "../../../setup/html-pages.ts";

/** Texts that mean something to Markdown, or to GitHub. */
const MARKUP = [
  ...HOSTILE,
  "a | b |\n| --- | --- |\n| c | d |",
  "# title\n## title\n- [x] done",
  "`x` ``y`` ```\n```sh",
  "[name](javascript:alert(1)) ![x](http://example.test/x)",
  "**bold** _it_ ~~gone~~ @team #12 $x$ \\",
];

/** The lines outside of blocks of code. */
function proseOf(markdown: string): string {
  return markdown.replace(/^(`{3,})sql\n[\s\S]*?\n\1$/gm, "");
}

/** The markup of a text: what is left of it without the words. */
function markupOf(markdown: string): readonly string[] {
  const words = proseOf(markdown).replace(/&#\d+;/g, "");
  return words.match(/<[^>]*>|[`*_[\]|#~\\@$!]|^- /gm) ?? [];
}

describe("a report in Markdown", () => {
  test("of a failed run shows the failed statement, the way out and what is pending", () => {
    const report = failedRun("the words");
    const markdown = renderMarkdown(report, bundleFor(report, "x"));

    expect(markdown).toMatch(
      /^## ❌ 0002&#95;the words, statement 2 failed, after 2 migrations&#58; MIGRATION&#95;FAILED\.\n/,
    );
    expect(markdown).toContain(
      "**MIGRATION&#95;FAILED** (SQLSTATE 23505) in <code>0002&#95;the words</code>",
    );
    expect(markdown).toContain("```sql\n4 | ");
    expect(markdown).toContain("**The way out:** the words");
    expect(markdown).toContain("| <code>0001&#95;step&#95;bookings</code> | 3 | 57 ms | applied |");
    expect(markdown).toContain("| <code>0002&#95;the words</code> | 3 |  | **failed**, pending |");
    expect(markdown).toContain("| error | <code>volatile&#45;default</code> |");
  });

  test("says who waited for whom", () => {
    const markdown = renderMarkdown(waitingRun("shop"), null);

    expect(markdown).toContain(
      "- <code>0001&#95;step&#95;bookings</code>, statement 2 waited 3.60 s for <code>psql</code> (pid 4711), <code>shop</code>\n",
    );
    expect(markdown).toContain("- Up to 7 other sessions waited for the run for 2.98 s: ");
  });

  test("of a rehearsal shows what would stand still, what is written anew, and what it cannot show", () => {
    const markdown = renderMarkdown(rehearsedRun(), null);

    expect(markdown).toMatch(/^## ✅ 1 migration rehearsed on a branch&#58; it went well\.\n/);
    expect(markdown).toContain(
      "| <code>public.orders</code> | reads and writes | 2.70 s | 49.7 MB, 200,000 rows | <code>0001&#95;orders</code>, statement 2 |",
    );
    expect(markdown).toContain(
      "| <code>public.orders&#95;pkey</code> of <code>public.orders</code> | writes | 340 ms | 900 bytes |",
    );
    expect(markdown).toContain(
      "- <code>public.orders</code> is written anew by statement 2 of <code>0001&#95;orders</code>: 49.7 MB, 200,000 rows",
    );
    expect(markdown).toContain("Nobody else used the branch.");
  });

  test("of a database lists what is open, and not everything that was ever applied", () => {
    const markdown = renderMarkdown(driftedStatus(), null);

    expect(markdown).toContain("| <code>0004&#95;half</code> | 3 |  | 1 of 3 done |");
    expect(markdown).toContain("in the ledger, and in no file");
    expect(markdown).not.toContain("0000&#95;step");
  });

  test.each(MARKUP.map((text) => [text]))("takes no markup from a database: %j", (text) => {
    for (const make of [failedRun, driftedStatus, waitingRun, rehearsedRun]) {
      const harmless = renderMarkdown(make("x"), null);
      const hostile = renderMarkdown(make(text), null);
      const breaks = (markup: string) => markup !== "<br>";

      expect(markupOf(hostile).filter(breaks)).toEqual(markupOf(harmless).filter(breaks));
      expect(proseOf(hostile).split("\n")).toHaveLength(proseOf(harmless).split("\n").length);
    }
  });

  test.each([
    ["of 300 migrations", successfulRun(300, 14)],
    ["of a million characters that are escaped", failedRun("&".repeat(1_000_000))],
  ])("%s is short enough for the summary of a step", (_name, report) => {
    expect(Buffer.byteLength(renderMarkdown(report, null))).toBeLessThan(MAX_MARKDOWN_BYTES);
  });
});
