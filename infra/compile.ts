import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FileSystem } from "aws-cdk-lib";
import { DISABLE_ASSET_STAGING_CONTEXT } from "aws-cdk-lib/cx-api";
import type { Construct } from "constructs";
import type { BundleSummary } from "../lib/compile/asset-summary.ts";
import { CONFIG_NAMES, type ProjectSummary } from "../lib/project/names.ts";
import type { ReportedError } from "../lib/report/report.ts";
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
  } catch (thrown) {
    throw failedSynth(`${scope.node.path}: ${reasonOf(thrown)}`, "node-do-not-add-exception-line");
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

/** Matches a frame of a stack that is no line of the app: one of a package, of Node, or of the construct. */
const FOREIGN_FRAME =
  /node_modules|\(?node:|\/infra\/(?:annotate|compile|neon-fleet|neon-migrations)\.[jt]s/;

/**
 * Makes the error of a failed synth. It has no cause, which Node would print with all the JSON of the command, and its
 * stack names the app's own lines only.
 * @param _silent a text in the line of a `throw` that keeps Node from printing that line, which is the whole of a built file
 */
function failedSynth(message: string, _silent: string): Error {
  const error = new Error(message);
  const frames = (error.stack ?? "").slice(`Error: ${message}`.length).split("\n");
  const own = frames.filter((frame) => frame !== "" && !FOREIGN_FRAME.test(frame));
  error.stack = [`Error: ${message}`, ...own].join("\n");
  return error;
}

/** Returns the reason of a failure. The command prints a report when it fails; when it breaks, only Node says why. */
function reasonOf(thrown: unknown): string {
  const printed: unknown =
    typeof thrown === "object" && thrown !== null ? Reflect.get(thrown, "stdout") : "";
  try {
    const { error }: { readonly error: ReportedError } = JSON.parse(String(printed));
    const message = Object.entries(PROPS).reduce(
      (text, [flag, prop]) => text.replaceAll(flag, prop),
      error.message,
    );
    // The compiler's messages begin with the place, and their detail is the line with its caret.
    if (error.statement === null) return `${error.code}: ${message}`;
    return [`${error.code} ${message}`, "", ...linesOf(error), ""].join("\n");
  } catch {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

/** Returns a statement's line with the caret below it, as `check` shows it, or else how it begins. */
function linesOf({ statement, detail }: ReportedError): readonly string[] {
  const [shown = "", caret = ""] = String(detail ?? statement?.excerpt).split("\n");
  const line = String(statement?.line);
  if (detail === null) return [`${line} | ${shown}`];
  return [`${line} | ${shown}`, `${" ".repeat(line.length)} | ${caret}`];
}
