import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { buildLambda } from "../../build/lambda.ts";
import { bundleFiles, writeBundle } from "../../lib/compile/asset-bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The folder of the Lambda asset for `drizzle/`. */
    assetFolder: string;
  }
}

/** Builds the Lambda asset of the example once for all projects of a run. */
export async function setup({ vitest }: TestProject): Promise<void> {
  if ("assetFolder" in vitest.getProvidedContext()) return;
  const folder = mkdtempSync(join(tmpdir(), "asset-"));
  await buildLambda(folder);
  await writeBundle(bundleFiles(await compileBundle("drizzle")), folder);
  vitest.provide("assetFolder", folder);
  vitest.onClose(() => rmSync(folder, { recursive: true }));
}
