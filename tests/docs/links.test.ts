import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

/** The files of the package as npm would publish it. */
const packed: readonly string[] = JSON.parse(
  execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts", "--offline"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 16 * 1024 ** 2,
  }),
)[0].files.map(({ path }: { readonly path: string }) => path);

const pages = packed.filter((path) => path.endsWith(".md"));

/** Returns the anchors of a page, as GitHub and npm make them of its headings. */
function anchorsOf(page: string): readonly string[] {
  return Array.from(withoutCode(page).matchAll(/^#+ (.+)$/gm), ([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function withoutCode(page: string): string {
  return readFileSync(page, "utf8").replace(/^```[\s\S]*?^```/gm, "");
}

/** Returns the links of a page that lead to other files of the package, or to a heading. */
function linksOf(page: string): readonly string[] {
  const text = withoutCode(page).replaceAll(/`[^`]*`/g, "");
  return Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, link = ""]) => link).filter(
    (link) => !/^(?:https?|mailto):/.test(link),
  );
}

/** Returns the file or folder of the package to which a link leads. */
function targetOf(page: string, link: string): string {
  const [path = ""] = link.split("#");
  return path === "" ? page : normalize(join(dirname(page), path)).replace(/\/$/, "");
}

/** Returns the pages to which a page leads: those that it names, and those in a folder that it names. */
function pagesBehind(page: string): readonly string[] {
  const targets = linksOf(page).map((link) => targetOf(page, link));
  return pages.filter((each) =>
    targets.some((target) => each === target || each.startsWith(`${target}/`)),
  );
}

/** Whether a link leads somewhere for who has installed the package. */
function leads(page: string, link: string): boolean {
  const [, anchor] = link.split("#");
  const target = targetOf(page, link);
  const isThere = packed.some((each) => each === target || each.startsWith(`${target}/`));
  return isThere && (anchor === undefined || anchorsOf(target).includes(anchor));
}

describe("GIVEN the package as npm publishes it", () => {
  test("WHEN its pages are listed THEN README, docs, examples and stand-ins are there", () => {
    expect(pages).toEqual(
      expect.arrayContaining([
        "README.md",
        "docs/reference/construct.md",
        "docs/README.md",
        "infra/examples/README.md",
        "local/README.md",
      ]),
    );
  });

  test.each(pages)(
    "WHEN a link of %s is followed THEN it leads to a file or heading of the package",
    (page) => {
      expect(linksOf(page).filter((link) => !leads(page, link))).toEqual([]);
    },
  );

  test("WHEN somebody goes from one page to the next THEN each page of docs is found from docs/README.md", () => {
    const found = new Set(["docs/README.md"]);
    for (const page of found) for (const next of pagesBehind(page)) found.add(next);

    expect(pages.filter((page) => page.startsWith("docs/") && !found.has(page))).toEqual([]);
  });

  test.each(pages)("WHEN %s leads out of the package THEN by an address that is one", (page) => {
    const addresses = withoutCode(page).match(/(?<=\]\(|<)https?:[^)>\s]+/g) ?? [];

    expect(addresses.filter((address) => !URL.canParse(address))).toEqual([]);
  });

  test("WHEN README is read THEN it has links", () => {
    expect(linksOf("README.md").length).toBeGreaterThan(10);
  });
});
