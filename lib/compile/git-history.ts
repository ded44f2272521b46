import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Migration } from "../bundle/bundle.ts";
import { variantHashes } from "../bundle/cosmetic-edit.ts";
import { type Cut, cutStatements } from "./statements.ts";

/** A migration with the file that it was read from. */
interface WithFile {
  readonly migration: Pick<Migration, "hash" | "sql" | "statements">;
  readonly path: string;
}

/** Reading the history must not hold up a build. Without the history, an edit of comments counts as an edit. */
const LIMITS = { timeoutMs: 3_000, maxBytes: 16 * 1024 * 1024, maxVersions: 300 };

/**
 * Returns for each file the hashes of its earlier versions in git that say the same to PostgreSQL: they differ in
 * comments and blanks only. A file gets none where git, its history or the time to read it is lacking.
 * @param folder the migrations' folder
 */
export async function sameInThePast(
  folder: string,
  files: readonly WithFile[],
): Promise<readonly (readonly string[])[]> {
  const nothing = files.map(() => []);
  try {
    const versions = await versionsIn(folder, new Map(files.map((file) => [file.path, file])));
    const ids = [...new Set([...versions.values()].flat())].slice(0, LIMITS.maxVersions);
    if (ids.length === 0) return nothing;
    const texts = await readBlobs(folder, ids);
    return files.map(({ migration, path }) => {
      const earlier = (versions.get(path) ?? []).flatMap((id) => texts.get(id) ?? []);
      const hashes = earlier.flatMap((text) => hashesIfSame(text, migration));
      return [...new Set(hashes)].filter((hash) => hash !== migration.hash);
    });
  } catch {
    return nothing;
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

async function git(folder: string, args: readonly string[], input = ""): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const child = execFile(
      "git",
      ["-C", folder, ...args],
      { timeout: LIMITS.timeoutMs, maxBuffer: LIMITS.maxBytes, encoding: "buffer" },
      (error, output) => (error === null ? resolve(output) : reject(error)),
    );
    // Where git is missing or gives up early, the callback says so.
    child.stdin?.on("error", () => undefined).end(input);
  });
}
