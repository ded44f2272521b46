import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Migration } from "../bundle/bundle.ts";
import { variantHashes } from "../bundle/cosmetic-edit.ts";
import { git } from "./git.ts";
import { type Cut, cutStatements } from "./statements.ts";

/** A migration with the file that it was read from. */
interface WithFile {
  readonly migration: Pick<Migration, "hash" | "sql" | "statements">;
  readonly path: string;
}

/** The versions beyond these are not read. Without the history, an edit of comments counts as an edit. */
const MAX_VERSIONS = 300;

/**
 * Returns for each file the hashes of its earlier versions in git that say the same to PostgreSQL: they differ in
 * comments and blanks only.
 * @param folder the migrations' folder
 * @returns null where git, its history or the time to read it is lacking
 */
export async function sameInThePast(
  folder: string,
  files: readonly WithFile[],
): Promise<readonly (readonly string[])[] | null> {
  try {
    const versions = await versionsIn(folder, new Map(files.map((file) => [file.path, file])));
    const ids = [...new Set([...versions.values()].flat())].slice(0, MAX_VERSIONS);
    if (ids.length === 0) return files.map(() => []);
    const texts = await readBlobs(folder, ids);
    return files.map(({ migration, path }) => {
      const earlier = (versions.get(path) ?? []).flatMap((id) => texts.get(id) ?? []);
      const hashes = earlier.flatMap((text) => hashesIfSame(text, migration));
      return [...new Set(hashes)].filter((hash) => hash !== migration.hash);
    });
  } catch {
    return null;
  }
}

function hashesIfSame(
  text: string,
  { hash, statements }: WithFile["migration"],
): readonly string[] {
  const own = createHash("sha256").update(text).digest("hex");
  if (own === hash) return [];
  const cut = cutStatements(text);
  if (!cut.ok || digestsOf(cut.statements) !== digestsOf(statements)) return [];
  return [own, ...variantHashes({ sql: text, ...matterOf(cut) })];
}

function matterOf({
  lineEndsMatter,
}: Cut & { readonly ok: true }): Pick<Migration, "lineEndsMatter"> {
  return lineEndsMatter === undefined ? {} : { lineEndsMatter };
}

function digestsOf(statements: Migration["statements"]): string {
  return statements.map(({ digest }) => digest).join(" ");
}

/** Returns the earlier blobs of each file, without the present one. */
async function versionsIn(
  folder: string,
  files: ReadonlyMap<string, WithFile>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const log = await git(folder, [
    ...["log", "--format=", "--raw", "--no-abbrev", "--no-renames", "--relative", "-z", "--", "."],
  ]);
  const versions = new Map<string, readonly string[]>();
  const fields = log.toString("utf8").split("\0");
  for (const [index, field] of fields.entries()) {
    // ":100644 100644 <blob before> <blob after> M", and the path in the field behind it
    const [, ...ids] = /:\d+ \d+ ([0-9a-f]+) ([0-9a-f]+) \w+$/.exec(field) ?? [];
    const path = join(folder, fields[index + 1] ?? "");
    const file = files.get(path);
    if (ids.length === 0 || file === undefined) continue;
    const present = blobId(file.migration.sql, ids[0]?.length === 64 ? "sha256" : "sha1");
    const earlier = ids.filter((id) => !/^0+$/.test(id) && id !== present);
    versions.set(path, [...new Set([...(versions.get(path) ?? []), ...earlier])]);
  }
  return versions;
}

function blobId(text: string, algorithm: "sha1" | "sha256"): string {
  const bytes = Buffer.from(text);
  return createHash(algorithm).update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** Reads the output of `git cat-file --batch`: for each blob a head line with the size, the bytes, a line feed. */
async function readBlobs(
  folder: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const output = await git(folder, ["cat-file", "--batch"], `${ids.join("\n")}\n`);
  const texts = new Map<string, string>();
  let at = 0;
  while (at < output.length) {
    const lineEnd = output.indexOf("\n", at);
    const [, id, size] =
      /^([0-9a-f]+) blob (\d+)$/.exec(output.toString("utf8", at, lineEnd)) ?? [];
    at = lineEnd + 1;
    if (id === undefined) continue;
    texts.set(id, output.toString("utf8", at, at + Number(size)));
    at += Number(size) + 1;
  }
  return texts;
}
