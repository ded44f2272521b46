import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The command line, as a program that plain Node runs. */
    cliProgram: string;
  }
}

/** Packages and the project's own root are found from there, and git does not see it. */
const CACHE = "node_modules/.cache";

/** Builds the command line once for the run: to compile it anew in each process takes twice as long as what it does. */
export async function setup(project: TestProject): Promise<() => void> {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, "programs-"));
  await build({
    bundle: true,
    entryPoints: ["bin/neon-migrate.ts"],
    format: "esm",
    logLevel: "warning",
    outExtension: { ".js": ".mjs" },
    outdir: folder,
    packages: "external",
    platform: "node",
    sourcemap: true,
    splitting: true,
  });
  project.provide("cliProgram", join(folder, "neon-migrate.mjs"));
  return () => rmSync(folder, { recursive: true });
}
