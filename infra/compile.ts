import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FileSystem } from "aws-cdk-lib";
import { DISABLE_ASSET_STAGING_CONTEXT } from "aws-cdk-lib/cx-api";
import type { Construct } from "constructs";
import type { BundleSummary } from "../lib/compile/asset-summary.ts";
import { CONFIG_NAMES, type ProjectSummary } from "../lib/project/names.ts";
import type { NeonMigrationsProps } from "./props.ts";

/** The asset to deploy: the prebuilt handler with the bundle beside it. */
export interface Compiled {
  readonly asset: string;
  readonly summary: Summary;
}

/** The output of `bundle --json`. */
interface Summary extends BundleSummary {
  /** Null where no drizzle.config file was read. */
  readonly project: ProjectSummary | null;
}

/** The props that say where the migrations are. */
export type Source = Pick<NeonMigrationsProps, "migrations" | "config">;

/** Enough for the output about a folder with thousands of findings. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Results by content: the stages of an app, or its tests, compile the same folder again and again. */
const compiled = new Map<string, Compiled>();

/** The folders that the drizzle.config files name, by their content. */
const namedFolders = new Map<string, string>();

const temporaryFolders = new Set<string>();

/**
 * Compiles a folder into a Lambda asset, once for each content, without network, Docker or a bundler.
 * @param since a tag or a git ref: only the findings of migrations that are new since then
 * @throws Error with the construct's path, the code, the file and the line, for a folder that does not compile
 */
export function compileFolder(
  scope: Construct,
  source: Source,
  since: string | undefined,
): Compiled {
  const { migrations, config } = source;
  const configs = (typeof config === "string" ? [config] : config === false ? [] : CONFIG_NAMES)
    .filter((each) => existsSync(each))
    .map((each) => FileSystem.fingerprint(each));
  const project = JSON.stringify([process.cwd(), migrations, config, configs]);
  const folder = migrations ?? namedFolders.get(project) ?? "";
  const content = existsSync(folder) ? FileSystem.fingerprint(folder) : "";
  const key = JSON.stringify([project, folder, since ?? null, content]);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const asset = FileSystem.mkdtemp("neon-migrations-");
  // If assets are not copied into the cloud assembly, the assembly needs this folder after the end of the app.
  if (!scope.node.tryGetContext(DISABLE_ASSET_STAGING_CONTEXT)) removeAtExit(asset);
  try {
    const made = { asset, summary: runBundleCommand(source, asset, since) };
    namedFolders.set(project, made.summary.folder);
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
function runBundleCommand(
  { migrations, config }: Source,
  out: string,
  since: string | undefined,
): Summary {
  const source = import.meta.url.endsWith(".ts");
  const cli = new URL(`../bin/neon-migrate.${source ? "ts" : "js"}`, import.meta.url);
  const words = [
    ...(source ? ["--import", "tsx"] : []),
    ...[fileURLToPath(cli), "bundle", "--out", out, "--json"],
    ...(migrations === undefined ? [] : ["--folder", migrations]),
    ...(typeof config === "string" ? ["--config", config] : []),
    ...(config === false ? ["--no-config"] : []),
    ...(since === undefined ? [] : ["--since", since]),
  ];
  const output = execFileSync(process.execPath, words, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  return JSON.parse(output);
}

/** The flags that a message of the command names, and the props of the construct that they stand for. */
const PROPS = { "--folder": "migrations", "--no-config": "config: false", "--config": "config" };

/** Returns the reason of a failure. The command prints a report when it fails; when it breaks, only Node says why. */
function reasonOf(thrown: unknown): string {
  const printed: unknown =
    typeof thrown === "object" && thrown !== null ? Reflect.get(thrown, "stdout") : "";
  try {
    const { error } = JSON.parse(String(printed));
    const excerpt = error.statement?.excerpt;
    const message = Object.entries(PROPS).reduce(
      (text, [flag, prop]) => text.replaceAll(flag, prop),
      `${error.code}: ${error.message}`,
    );
    return [message, ...(excerpt ? [excerpt] : [])].join("\n\n");
  } catch {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
