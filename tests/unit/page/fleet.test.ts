import { expect, test } from "vitest";
import { renderFleetPage } from "../../../lib/page/fleet.ts";
import { partialFleet, stoppedFleet, wholeFleet } from "../../setup/fleet-reports.ts";
import { HOSTILE } from "../../setup/html-pages.ts";
import { seenIn } from "../../setup/seen-in-page.ts";

const PAGES = [
  ["whole", wholeFleet()],
  ["partial", partialFleet()],
  ["stopped", stoppedFleet()],
] as const;

test.each(HOSTILE.map((text) => [text]))(
  "a text from a tenant stays a text on a fleet's page: %j",
  (text) => {
    const [harmless, hostile] = ["x", text].map((each) =>
      seenIn(renderFleetPage(stoppedFleet(each))),
    );

    expect(hostile?.errors).toEqual([]);
    expect([...(hostile?.tags ?? [])]).toEqual([...(harmless?.tags ?? [])]);
    expect([...(hostile?.attributes ?? [])]).toEqual([...(harmless?.attributes ?? [])]);
  },
);

test.each(PAGES)(
  "the page of a fleet that is %s is valid, loads nothing, and each name of a section leads to its heading",
  (_name, report) => {
    const page = renderFleetPage(report);
    const { tags, attributes, errors } = seenIn(page);
    const valuesOf = (name: string) =>
      [...page.matchAll(new RegExp(`\\b${name}="([^"]*)"`, "g"))].map(([, value]) => value);

    expect(errors).toEqual([]);
    expect(["script", "img", "link"].filter((tag) => tags.has(tag))).toEqual([]);
    expect(["style", "src", "href", "onclick"].filter((name) => attributes.has(name))).toEqual([]);
    expect(["header", "main", "footer", "h1"].map((tag) => tags.get(tag))).toEqual([1, 1, 1, 1]);
    expect(new Set(valuesOf("id")).size).toBe(valuesOf("id").length);
    expect(valuesOf("id")).toEqual(expect.arrayContaining(valuesOf("aria-labelledby")));
  },
);

test("says what came of the canary, and who is ahead of the bundle", () => {
  const [whole, , stopped] = PAGES.map(([, report]) => seenIn(renderFleetPage(report)).text);

  expect(whole).toContain("The rehearsal of acme passed before it was touched.");
  expect(whole).not.toContain("ahead");
  expect(stopped).toContain(
    "The rehearsal of acme failed on its branch; acme itself was not touched.",
  );
  expect(stopped).toContain("2 tenants are ahead: with migrations that this bundle does not have.");
});

test.each([
  ["refused", "was over a limit; acme itself was not touched."],
  [null, "The canary acme was not rehearsed: it was up to date"],
] as const)("says so of a canary whose rehearsal is %s", (rehearsal, sentence) => {
  const report = { ...stoppedFleet(), canary: { id: "acme", rehearsal } };

  expect(seenIn(renderFleetPage(report)).text).toContain(sentence);
});
