import { appendFile, writeFile } from "node:fs/promises";
import { toError } from "../../lib/errors.ts";
import { printable } from "../../lib/text.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { type PageOptions, written } from "../page.ts";
import type { FleetAnswer } from "./answer.ts";

/** The files in which the report of a fleet is kept beside what is printed. */
export type FleetPages = PageOptions;

/** Writes the pages behind a run. @returns the exit code where that fails; the report is printed already */
export async function keepFleetPages(
  { html, markdown }: FleetPages,
  { report }: FleetAnswer,
): Promise<number | null> {
  if (report === null) return null;
  try {
    if (html !== undefined) {
      const { renderFleetPage } = await import("../../lib/page/fleet.ts");
      await written(html, () => writeFile(html, renderFleetPage(report)));
    }
    if (markdown !== undefined) {
      const { renderFleetMarkdown } = await import("./markdown.ts");
      await written(markdown, () => appendFile(markdown, renderFleetMarkdown(report)));
    }
    return null;
  } catch (thrown) {
    console.error(printable(toError(thrown).message));
    return EXIT_CODE.failed;
  }
}
