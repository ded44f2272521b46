import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bundle, countStatements, type Migration } from "../bundle/bundle.ts";
import {
  digestOf,
  type IndexEntry,
  type Line,
  MIGRATIONS_FILE,
} from "../bundle/migrations-file.ts";
import { type Head, headDigest } from "../bundle/open-bundle.ts";
import { overviewOf } from "../bundle/overview.ts";

/** A file of an asset's bundle, in pieces that follow each other. */
interface BundleFile {
  readonly name: string;
  readonly content: readonly Buffer[];
}

const END = Buffer.from("\n");

/**
 * Returns the files that `openBundle` reads. Equal bundles make equal bytes.
 * @throws RangeError for a bundle that is longer than a text can be
 */
export function bundleFiles(bundle: Bundle): readonly [head: BundleFile, migrations: BundleFile] {
  const { layout, hash, contentHash, migrations, warnings } = bundle;
  const lines = migrations.map((each) => Buffer.from(JSON.stringify(each)));
  const entries = migrations.map((each, position) => entryOf(each, lineOf(lines[position])));
  const index = Buffer.from(JSON.stringify(entries));
  const content = [index, ...lines].flatMap((line) => [line, END]);
  const head: Head = {
    bundleVersion: 2,
    ...{ layout, hash, ...(contentHash === undefined ? {} : { contentHash }) },
    ...{ overview: overviewOf(bundle), index: lineOf(index), bytes: bytesOf(content), warnings },
  };
  const text = JSON.stringify({ ...head, digest: headDigest(head) });
  return [
    { name: "bundle.json", content: [Buffer.from(`${text}\n`)] },
    { name: MIGRATIONS_FILE, content },
  ];
}

/** Writes the files of a bundle into a folder that exists. */
export async function writeBundle(
  files: ReturnType<typeof bundleFiles>,
  folder: string,
): Promise<void> {
  for (const { name, content } of files) await writeFile(join(folder, name), content);
}

/** Returns the number of bytes of these pieces. */
export function bytesOf(content: readonly Buffer[]): number {
  return content.reduce((sum, { length }) => sum + length, 0);
}

function lineOf(line = END): Line {
  return { bytes: line.length, digest: digestOf(line) };
}

function entryOf(migration: Migration, { bytes, digest }: Line): IndexEntry {
  const { tag, when, hash, name } = migration;
  return [tag, when, hash, name, countStatements(migration), bytes, digest];
}
