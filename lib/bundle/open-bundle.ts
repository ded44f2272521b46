import { readFileSync, statSync } from "node:fs";
import { MigratorError } from "../errors.ts";
import { isRecord } from "../json.ts";
import type { Bundle, Migration, Overview } from "./bundle.ts";
import { digestOf, type Line, MIGRATIONS_FILE, notOne, readIndex } from "./migrations-file.ts";
import { invalid, readBundle, readWarnings } from "./read-bundle.ts";

/** The content of an asset's `bundle.json`, the first file of its bundle: what all of its migrations have in common. */
export interface Head extends Pick<Bundle, "layout" | "hash" | "contentHash" | "warnings"> {
  readonly bundleVersion: 2;
  readonly overview: Overview;
  /** The first line of `migrations.jsonl`. */
  readonly index: Line;
  /** The size of `migrations.jsonl`. */
  readonly bytes: number;
}

/** Returns the digest of a head, which is written behind its other fields. */
export function headDigest(head: Head): string {
  return digestOf(JSON.stringify(head));
}

/**
 * Opens the bundle of an asset, so that a run reads what it needs: nothing to do costs the same with any number of migrations.
 * The list of the migrations is read when somebody asks for it, and each migration when somebody asks for more than the list
 * has. A damaged part is refused then, before anything of it is used. A whole bundle in one file, as `compileBundle` returns
 * it and earlier versions wrote it, is read at once.
 * @param path of `bundle.json`; `migrations.jsonl` is beside it
 * @throws MigratorError `BUNDLE_MISSING` where one of the two is not there; `BUNDLE_INVALID`, also by the bundle's fields
 */
export function openBundle(path: string | URL): Bundle {
  const value = parse(orMissing("bundle.json", () => readFileSync(path, "utf8")));
  if (!isRecord(value) || value.bundleVersion !== 2) return readBundle(value);
  const { digest, ...rest } = value;
  // The digest shows that our own writer has made it.
  const head = rest as unknown as Head;
  if (digest !== headDigest(head)) throw invalid("it was edited after it was compiled");
  const file = besides(path);
  const { size } = orMissing(MIGRATIONS_FILE, () => statSync(file));
  if (size !== head.bytes) throw notOne();
  const { layout, hash, contentHash, overview, warnings, index } = head;
  let known: readonly Migration[] | null = null;
  return {
    ...{ bundleVersion: 1, layout, hash, overview, warnings: readWarnings(warnings) },
    ...(contentHash === undefined ? {} : { contentHash }),
    get migrations() {
      known ??= readIndex(file, index, head);
      return known;
    },
  };
}

/** Returns the size of a bundle, in one file or in two, in bytes; 0 where there is none. */
export function sizeOfBundle(path: string | URL): number {
  const size = (file: string | URL) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return size(path) + size(besides(path));
}

function besides(path: string | URL): string | URL {
  return path instanceof URL
    ? new URL(MIGRATIONS_FILE, path)
    : path.replace(/[^/\\]*$/, MIGRATIONS_FILE);
}

function orMissing<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    const message = `There is no ${name} beside the handler. Make the asset with "neon-migrate bundle", and deploy all of its files.`;
    throw new MigratorError("BUNDLE_MISSING", message, { cause });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid("bundle.json is not JSON", cause);
  }
}
