import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, join, normalize, resolve, sep } from "node:path";
import type { Bundle } from "../bundle/bundle.ts";
import { MigratorError } from "../errors.ts";
import { packageRoot } from "../package-root.ts";
import { bundleFiles, bytesOf, writeBundle } from "./asset-bundle.ts";

/** One file of a Lambda asset. */
export interface AssetFile {
  readonly name: string;
  readonly bytes: number;
}

const ELSEWHERE = "Name another folder with --out.";

/** The files of an earlier `bundle`. They are removed, because another handler has chunks of other names. */
const OURS = /^(?:index|part-[\w-]+|aws-sdk-[\w-]+)\.mjs(?:\.LEGAL\.txt)?$/;

/**
 * Writes the prebuilt handler and the bundle into a folder. Equal migrations make equal bytes.
 * @param handler the folder of the handler. Default: the one that the package ships
 * @throws MigratorError `CONFIG_INVALID` where the handler is missing or the folder cannot be written; `BUNDLE_TOO_LARGE`
 */
export async function writeAsset(
  bundle: Bundle,
  out: string,
  handler: string = join(packageRoot(), "dist", "lambda"),
): Promise<readonly AssetFile[]> {
  const names = await handlerFiles(handler);
  if (resolve(out) === resolve(handler)) {
    throw new MigratorError("CONFIG_INVALID", `${out} is the handler's own place. ${ELSEWHERE}`);
  }
  const files = filesOf(bundle);
  try {
    await mkdir(out, { recursive: true });
    const stale = (await readdir(out)).filter((name) => OURS.test(name));
    for (const name of stale) await rm(join(out, name));
    for (const name of names) await cp(join(handler, name), join(out, name));
    await writeBundle(files, out);
    const written = [...names, ...files.map(({ name }) => name)];
    // Lambda runs as another user than the owner of the files, and CDK and zip keep the modes that a umask made.
    for (const name of written) await chmod(join(out, name), 0o644);
    return await Promise.all(written.map((name) => fileIn(out, name)));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MigratorError(
      "CONFIG_INVALID",
      `The asset cannot be written to ${out}: ${reason}. ${ELSEWHERE}`,
      { cause },
    );
  }
}

/** Lambda takes a function of 250 MB, unpacked (AWS Lambda quotas, deployment package). 2 MB are for the handler. */
const MAX_BUNDLE_BYTES = 248 * 1024 ** 2;

/** Returns the files of a bundle, and refuses one that no function can hold, before anything is written. */
function filesOf(bundle: Bundle): ReturnType<typeof bundleFiles> {
  const sizes = bundle.migrations.map(({ tag, sql }) => ({ tag, bytes: Buffer.byteLength(sql) }));
  const bytes = sizes.reduce((sum, each) => sum + each.bytes, 0);
  // The SQL is a part of the JSON. Longer than this, the JSON may be longer than a text can be.
  const files = bytes > MAX_BUNDLE_BYTES ? null : bundleFiles(bundle);
  const written = files?.reduce((sum, { content }) => sum + bytesOf(content), 0);
  if (files !== null && written !== undefined && written <= MAX_BUNDLE_BYTES) return files;
  const [largest] = sizes.sort((one, other) => other.bytes - one.bytes);
  const shown = sizes.slice(0, 3).map((each) => `${each.tag} (${megabytes(each.bytes)})`);
  throw new MigratorError(
    "BUNDLE_TOO_LARGE",
    `The migrations have ${megabytes(bytes)} of SQL, and their bundle has more than the 250 MB that Lambda takes for a function. The largest are ${shown.join(", ")}. Load their data outside of the migrations.`,
    largest === undefined ? {} : { migration: largest.tag },
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}

async function handlerFiles(handler: string): Promise<readonly string[]> {
  const names = existsSync(handler) ? await readdir(handler) : [];
  if (names.includes("index.mjs")) return names.filter((name) => OURS.test(name)).sort();
  throw new MigratorError(
    "CONFIG_INVALID",
    `The prebuilt handler is missing: ${join(handler, "index.mjs")} does not exist. Build it with "npm run bundle", or install the package again.`,
  );
}

async function fileIn(folder: string, name: string): Promise<AssetFile> {
  return { name, bytes: (await stat(join(folder, name))).size };
}

/**
 * Makes the bundle independent of this machine: warnings name the folder by its last name only. Then equal
 * migrations make equal bytes wherever they lie.
 */
export function portable(bundle: Bundle, folder: string): Bundle {
  const prefix = `${normalize(folder).replace(/[/\\]$/, "")}${sep}`;
  const name = `${basename(resolve(folder))}/`;
  const warnings = bundle.warnings.map((warning) => ({
    ...warning,
    message: warning.message.replaceAll(prefix, name),
  }));
  return { ...bundle, warnings };
}
