import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderFleetPage } from "../../../lib/page/fleet.ts";
import { renderPage } from "../../../lib/page/page.ts";
import type { Report } from "../../../lib/report/report.ts";
import { partialFleet, stoppedFleet, wholeFleet } from "../../setup/fleet-reports.ts";
import {
  bundleFor,
  driftedStatus,
  failedRun,
  HOSTILE,
  successfulRun,
  waitingRun,
} from "../../setup/html-pages.ts";

const CHROMIUM = "/usr/bin/chromium";
const pageOf = (report: Report, text = "x") => renderPage(report, bundleFor(report, text));
const PAGES: readonly (readonly [string, string])[] = [
  ["a run that ended well", pageOf(successfulRun())],
  ["a run that waited", pageOf(waitingRun())],
  ["a run that failed", pageOf(failedRun())],
  ["a database with drift", pageOf(driftedStatus())],
  ["a fleet that is whole", renderFleetPage(wholeFleet())],
  ["a fleet that is partial", renderFleetPage(partialFleet())],
  ["a fleet that was stopped at its canary", renderFleetPage(stoppedFleet())],
  ["a fleet with long names", renderFleetPage(stoppedFleet("tenant-of-200-".repeat(14)))],
];
const WAYS = [
  { colorScheme: "light", viewport: { width: 1_100, height: 900 } },
  { colorScheme: "dark", viewport: { width: 1_100, height: 900 } },
  { colorScheme: "light", viewport: { width: 360, height: 740 } },
] as const;

let scratch = "";
let browser: Browser;

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) throw new Error("There is no Chromium: apt-get install chromium.");
  scratch = await mkdtemp(join(tmpdir(), "pages-"));
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});

afterAll(async () => {
  await browser.close();
  await rm(scratch, { recursive: true });
});

interface Opened {
  readonly page: Page;
  /** What the page has asked for beside itself, and what the browser has complained about. */
  readonly noise: readonly string[];
  close(): Promise<void>;
}

async function open(content: string, way: (typeof WAYS)[number] = WAYS[0]): Promise<Opened> {
  const file = join(scratch, "page.html");
  await writeFile(file, content);
  const context = await browser.newContext(way);
  const page = await context.newPage();
  const noise: string[] = [];
  const address = pathToFileURL(file).href;
  page.on("request", (request) => {
    if (request.url() !== address) noise.push(request.url());
  });
  page.on("console", (message) => noise.push(message.text()));
  page.on("pageerror", ({ message }) => noise.push(message));
  await page.goto(address);
  return { page, noise, close: () => context.close() };
}

describe.each(PAGES)("the page of %s", (_name, content) => {
  test.each(WAYS)("has no findings of axe, and fits into its width: %j", async (way) => {
    const { page, noise, close } = await open(content, way);

    await page.evaluate(
      "document.querySelectorAll('details').forEach((each) => (each.open = true))",
    );
    await page.evaluate(axe.source);
    const violations = await page.evaluate("axe.run().then(({ violations }) => violations)");
    const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");

    expect(violations).toEqual([]);
    expect(overflow).toBe(0);
    expect(noise).toEqual([]);
    await close();
  });
});

test("draws a statement on the axis of its migration, and its waits in a colour of their own", async () => {
  const { page, close } = await open(pageOf(waitingRun()));
  await page.locator("summary", { hasText: "0001_step_bookings" }).click();

  const bars = page.locator("ul.rows > li:nth-child(5) svg");
  const [migration, statement] = [await bars.nth(0).boundingBox(), await bars.nth(1).boundingBox()];
  const strokes = await page.evaluate(
    "[...document.querySelectorAll('ul.rows > li:nth-child(5) summary path')].map((each) => getComputedStyle(each).stroke)",
  );

  expect(statement).toMatchObject({ x: migration?.x, width: migration?.width });
  expect(new Set(Array.isArray(strokes) ? strokes : []).size).toBe(3);
  await close();
});

test("is dark where its reader wants that, and light on paper all the same", async () => {
  const background = "getComputedStyle(document.body).backgroundColor";
  const { page, close } = await open(pageOf(successfulRun()), WAYS[1]);

  expect(await page.evaluate(background)).toBe("rgb(20, 23, 27)");
  await page.emulateMedia({ media: "print" });
  expect(await page.evaluate(background)).toBe("rgb(255, 255, 255)");
  await close();
});

test("shows the SQL of a migration by the keyboard, and all of it on paper", async () => {
  const { page, close } = await open(pageOf(successfulRun(1, 1)));
  const sql = page.locator("ol.sql pre");

  expect(await sql.isVisible()).toBe(false);
  await page.keyboard.press("Tab");
  expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe(
    "solid",
  );
  await page.keyboard.press("Enter");
  expect(await sql.isVisible()).toBe(true);
  await page.keyboard.press("Enter");
  expect(await sql.isVisible()).toBe(false);
  await page.emulateMedia({ media: "print" });
  expect(await sql.isVisible()).toBe(true);
  await close();
});

test.each(HOSTILE.map((text) => [text]))("runs nothing of %j", async (text) => {
  const runs = [failedRun(text), driftedStatus(text)].map((report) => pageOf(report, text));
  for (const content of [...runs, renderFleetPage(stoppedFleet(text))]) {
    const { page, noise, close } = await open(content);

    expect(await page.evaluate("window.broken")).toBeUndefined();
    expect(noise).toEqual([]);
    await close();
  }
});

test("runs no script and loads nothing, even where one came into it", async () => {
  const file = join(scratch, "hurt.html");
  const wrong = "<script>window.broken=1</script><img src=/x onerror=window.broken=1></main>";
  await writeFile(file, renderPage(successfulRun(), null).replace("</main>", wrong));
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.goto(pathToFileURL(file).href);

  expect(await page.evaluate("window.broken")).toBeUndefined();
  expect(complaints.join()).toContain("Content Security Policy");
  await context.close();
});

test("opens a run of 300 migrations and 4,200 statements, and prints the time of that", async () => {
  const { page, close } = await open(pageOf(successfulRun(300, 14)));

  const timing = await page.evaluate(
    "JSON.stringify(performance.getEntriesByType('navigation').map(({ duration, decodedBodySize }) => ({ duration, decodedBodySize })))",
  );
  console.log(`300 migrations, 4,200 statements: ${timing}`);

  expect(await page.locator("ul.rows > li").count()).toBe(303);
  await close();
});
