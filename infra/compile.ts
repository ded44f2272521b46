import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FileSystem } from "aws-cdk-lib";
import { DISABLE_ASSET_STAGING_CONTEXT } from "aws-cdk-lib/cx-api";
import type { Construct } from "constructs";
import type { BundleSummary } from "../lib/compile/asset-summary.ts";

/** The asset to deploy: the prebuilt handler with the bundle beside it. */
export interface Compiled {
  readonly asset: string;
  readonly summary: BundleSummary;
}

/** Enough for the output about a folder with thousands of findings. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Results by content: the stages of an app, or its tests, compile the same folder again and again. */
const compiled = new Map<string, Compiled>();

const temporaryFolders = new Set<string>();

/**
 * Compiles a folder into a Lambda asset, once for each content, without network, Docker or a bundler.
 * @param since a tag or a git ref: only the findings of migrations that are new since then
 * @throws Error with the construct's path, the code, the file and the line, for a folder that does not compile
 */
export function compileFolder(
  scope: Construct,
  folder: string,
  since: string | undefined,
): Compiled {
  const content = existsSync(folder) ? FileSystem.fingerprint(folder) : "";
  const key = JSON.stringify([process.cwd(), folder, since ?? null, content]);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const asset = FileSystem.mkdtemp("neon-migrations-");
  // If assets are not copied into the cloud assembly, the assembly needs this folder after the end of the app.
  if (!scope.node.tryGetContext(DISABLE_ASSET_STAGING_CONTEXT)) removeAtExit(asset);
  try {
    const made = { asset, summary: runBundleCommand(folder, asset, since) };
    compiled.set(key, made);
    return made;
  } catch (cause) {
    throw new Error(`${scope.node.path}: ${reasonOf(cause)}`, { cause });
  }
}

function removeAtExit(folder: string): void {
  const removeAll = () => {
    for (const each of temporaryFolders) rmSync(each, { recursive: true, force: true });
  };
  if (temporaryFolders.size === 0) process.once("exit", removeAll);
  temporaryFolders.add(folder);
}

/** Compiles in another process: the parser loads asynchronously, and a constructor cannot wait. */
function runBundleCommand(folder: string, out: string, since: string | undefined): BundleSummary {
  const source = import.meta.url.endsWith(".ts");
  const cli = new URL(`../bin/neon-migrate.${source ? "ts" : "js"}`, import.meta.url);
  const words = [
    ...(source ? ["--import", "tsx"] : []),
    ...[fileURLToPath(cli), "bundle", "--folder", folder, "--out", out, "--json"],
    ...(since === undefined ? [] : ["--since", since]),
  ];
  const output = execFileSync(process.execPath, words, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  return JSON.parse(output);
}

/** Returns the reason of a failure. The command prints a report when it fails; when it breaks, only Node says why. */
function reasonOf(thrown: unknown): string {
  const printed: unknown =
    typeof thrown === "object" && thrown !== null ? Reflect.get(thrown, "stdout") : "";
  try {
    const { error } = JSON.parse(String(printed));
    const excerpt = error.statement?.excerpt;
    return [`${error.code}: ${error.message}`, ...(excerpt ? [excerpt] : [])].join("\n\n");
  } catch {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
