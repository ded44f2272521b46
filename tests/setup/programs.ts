import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The path of the command line as a program for plain Node. */
    cliProgram: string;
  }
}

/** From there the program finds its packages and the root of the project, and git does not see it. */
const CACHE = "node_modules/.cache";

/**
 * Builds the command line once for all projects of a run. A process that compiles it anew takes twice as long for that as
 * for its work.
 */
export async function setup({ vitest }: TestProject): Promise<void> {
  if ("cliProgram" in vitest.getProvidedContext()) return;
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
  vitest.provide("cliProgram", join(folder, "neon-migrate.mjs"));
  vitest.onClose(() => rmSync(folder, { recursive: true }));
}
