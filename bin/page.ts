import { open, writeFile } from "node:fs/promises";
import type { Bundle } from "../lib/bundle/bundle.ts";
import { MigratorError, toError } from "../lib/errors.ts";
import type { Report } from "../lib/report/report.ts";
import { printable, quoted } from "../lib/text.ts";
import { EXIT_CODE } from "./exit-code.ts";

/**
 * Proves that a page can be written, before there is anything to write: a run whose page is lost has run all the same.
 * @throws MigratorError `PAGE_UNWRITABLE`
 */
export async function provePage(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  try {
    // It may hold an earlier page, which stays until there is a new one.
    await (await open(path, "a")).close();
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/**
 * Writes the page of a report, where one is asked for.
 * @throws MigratorError `PAGE_UNWRITABLE`
 */
export async function writePage(
  path: string | undefined,
  report: Report,
  bundle: Bundle | null,
): Promise<void> {
  if (path === undefined) return;
  const { renderPage } = await import("../lib/page/page.ts");
  const page = renderPage(report, bundle);
  try {
    await writeFile(path, page);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** Writes the page behind a run. @returns the exit code where that fails; the report is printed already */
export async function keepPage(
  path: string | undefined,
  report: Report,
  bundle: Bundle | null,
): Promise<number | null> {
  if (report.error?.code === "PAGE_UNWRITABLE") return null;
  try {
    await writePage(path, report, bundle);
    return null;
  } catch (thrown) {
    console.error(printable(toError(thrown).message));
    return EXIT_CODE.failed;
  }
}

function unwritable(path: string, cause: unknown): MigratorError {
  return new MigratorError(
    "PAGE_UNWRITABLE",
    `The page cannot be written to ${quoted(path)}: ${toError(cause).message}. Name a file in a folder that exists, and that you may write to.`,
    { cause },
  );
}
