import { join, normalize } from "node:path";
import { openWarnings } from "../bundle/folder-warning.ts";
import { memoryFor } from "../bundle/memory.ts";
import { sizeOfBundle } from "../bundle/open-bundle.ts";
import { type AssetFile, portable, writeAsset } from "./asset.ts";
import { type CompileOptions, compileBundle } from "./compile.ts";
import { type FiledFinding, fileFindings, findingsByText } from "./filed-findings.ts";
import { tagsSince } from "./since.ts";

/** The parts of an asset. */
export interface AssetOptions extends CompileOptions {
  readonly folder: string;
  readonly out: string;
  /** A prebuilt handler. Default: the one that the package ships. */
  readonly handler?: string;
  /** A migration's tag or a git ref: only the findings of migrations that are new since then. */
  readonly since?: string;
}

/** The output of `bundle --json`. */
export interface BundleSummary {
  /** Changes when and only when the migrations do. */
  readonly hash: string;
  readonly folder: string;
  readonly out: string;
  readonly migrations: readonly {
    readonly tag: string;
    readonly when: number;
    readonly hash: string;
    readonly statements: number;
  }[];
  readonly files: readonly AssetFile[];
  readonly bytes: number;
  /** The memory that the function needs for this bundle. */
  readonly memoryMb: number;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  /** The findings of `check` in the migrations. */
  readonly findings: readonly FiledFinding[];
}

/**
 * Compiles a folder, and writes the handler and the bundle.
 * @throws MigratorError as `compileBundle`, `tagsSince` and `writeAsset` do
 */
export async function makeAsset(options: AssetOptions): Promise<BundleSummary> {
  const { folder, out, handler } = options;
  const bundle = await compileBundle(normalize(folder), options);
  const since =
    options.since === undefined ? null : await tagsSince(bundle, normalize(folder), options.since);
  const files = await writeAsset(portable(bundle, folder), out, handler);
  return {
    hash: bundle.hash,
    folder,
    out,
    migrations: bundle.migrations.map(({ tag, when, hash, statements }) => ({
      tag,
      when,
      hash,
      statements: statements.length,
    })),
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    memoryMb: memoryFor(sizeOfBundle(join(out, "bundle.json"))),
    warnings: openWarnings(bundle.warnings),
    findings: fileFindings(findingsByText(bundle, since), bundle, folder),
  };
}
