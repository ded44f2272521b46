import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJournal } from "../../../lib/compile/journal.ts";
import { hostileValue, mutants, mutantTexts } from "../../setup/fuzz/mutations.ts";
import { type Outcome, outcomeOf } from "../../setup/fuzz/outcome.ts";
import { tries } from "../../setup/tries.ts";

const JOURNAL = {
  version: "7",
  dialect: "postgresql",
  entries: [
    { idx: 0, version: "7", when: 1_700_000_000_000, tag: "0000_init", breakpoints: true },
    { idx: 1, version: "7", when: 1_700_000_000_001, tag: "0001_next", breakpoints: true },
    { idx: 2, version: "7", when: 1_700_000_000_002, tag: "0002_last", breakpoints: false },
  ],
};
const TEXT = JSON.stringify(JOURNAL, null, 2);
const PATH = "drizzle/meta/_journal.json";

const parse = (text: string) => outcomeOf(() => parseJournal(text, PATH));

test("a journal in any variation is read as it says, or refused with its path", () => {
  const texts = fc.oneof(
    { weight: 4, arbitrary: mutants(JOURNAL).map(jsonOf) },
    { weight: 2, arbitrary: mutantTexts(TEXT) },
    { weight: 1, arbitrary: hostileValue.map(jsonOf) },
  );
  fc.assert(
    fc.property(texts, (text) => expectEntriesOrRefusal(text, parse(text))),
    { numRuns: tries(150, 1_000) },
  );
});

test("a dialect that cannot be written as text is refused like any other", () => {
  const text = TEXT.replace('"postgresql"', `${"[".repeat(50_000)}${"]".repeat(50_000)}`);

  expect(parse(text).error?.code).toBe("JOURNAL_INVALID");
});

function expectEntriesOrRefusal(text: string, { value, error }: Outcome<unknown>): void {
  if (error !== null) {
    expect(["JOURNAL_INVALID", "DUPLICATE_TAG"]).toContain(error.code);
    expect(error.message).toContain(PATH);
    return;
  }
  const { entries } = JSON.parse(text);
  expect(value).toMatchObject(
    entries.map(({ tag, when }: (typeof JOURNAL.entries)[0]) => ({ tag, when: Number(when) })),
  );
  const tags = entries.map(({ tag }: (typeof JOURNAL.entries)[0]) => tag);
  expect(new Set(tags).size).toBe(tags.length);
  for (const tag of tags) expect(tag).toMatch(/^[^/\\\0]+$/);
}

/** Deep values have no JSON text of JavaScript's making. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return TEXT.replace('"7"', `${"[".repeat(50_000)}${"]".repeat(50_000)}`);
  }
}
