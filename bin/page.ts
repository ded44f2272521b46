import { appendFile, open, writeFile } from "node:fs/promises";
import type { Bundle } from "../lib/bundle/bundle.ts";
import { MigratorError, toError } from "../lib/errors.ts";
import type { Report } from "../lib/report/report.ts";
import { printable, quoted } from "../lib/text.ts";
import { EXIT_CODE } from "./exit-code.ts";

/** The files in which a report is kept beside what is printed. */
export interface PageOptions {
  /** The file for the report as a page; undefined without one. */
  readonly html?: string;
  /** The file that gets the report as Markdown at its end; undefined without one. */
  readonly markdown?: string;
}

/**
 * Proves that the pages can be written, before there is anything to write: a run whose page is lost has run all the same.
 * @throws MigratorError `PAGE_UNWRITABLE`
 */
export async function provePages({ html, markdown }: PageOptions): Promise<void> {
  // A file may hold an earlier page, which stays until there is a new one.
  for (const path of [html, markdown]) {
    if (path !== undefined) await written(path, async () => (await open(path, "a")).close());
  }
}

/**
 * Writes the pages of a report that are asked for.
 * @throws MigratorError `PAGE_UNWRITABLE`
 */
export async function writePages(
  { html, markdown }: PageOptions,
  report: Report,
  bundle: Bundle | null,
): Promise<void> {
  if (html !== undefined) {
    const { renderPage } = await import("../lib/page/page.ts");
    await written(html, () => writeFile(html, renderPage(report, bundle)));
  }
  if (markdown !== undefined) {
    const { renderMarkdown } = await import("./render/markdown.ts");
    await written(markdown, () => appendFile(markdown, renderMarkdown(report, bundle)));
  }
}

/** Writes the pages behind a run. @returns the exit code where that fails; the report is printed already */
export async function keepPages(
  options: PageOptions,
  report: Report,
  bundle: Bundle | null,
): Promise<number | null> {
  if (report.error?.code === "PAGE_UNWRITABLE") return null;
  try {
    await writePages(options, report, bundle);
    return null;
  } catch (thrown) {
    console.error(printable(toError(thrown).message));
    return EXIT_CODE.failed;
  }
}

/** @throws MigratorError `PAGE_UNWRITABLE` */
export async function written(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    throw new MigratorError(
      "PAGE_UNWRITABLE",
      `The page cannot be written to ${quoted(path)}: ${toError(cause).message}. Name a file in a folder that exists, and that you may write to.`,
      { cause },
    );
  }
}
