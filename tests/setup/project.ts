import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { onTestFinished } from "vitest";

/**
 * Makes a project for one test: files by their names, and the packages of this repository.
 * @param packages the folder with its drizzle-kit; null: nothing is installed
 */
export function makeProject(
  files: Readonly<Record<string, string>>,
  packages: string | null = "node_modules",
): string {
  const folder = mkdtempSync(join(tmpdir(), "project-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  if (packages !== null) symlinkSync(resolve(packages), join(folder, "node_modules"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}
