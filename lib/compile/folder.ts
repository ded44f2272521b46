import { constants } from "node:buffer";
import { hash } from "node:crypto";
import { type Dirent, readFileSync, statSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Layout } from "../bundle/bundle.ts";
import type { FolderWarning } from "../bundle/folder-warning.ts";
import { MigratorError } from "../errors.ts";
import { defectOf } from "./encoding.ts";
import { parseJournal } from "./journal.ts";
import { backwardEntries, futureFolder, oddTimes, type Timed } from "./journal-times.ts";

/** One migration as it lies on the disk. */
export interface MigrationFile {
  readonly tag: string;
  /** The journal's `when`, or the time in the folder's name; epoch milliseconds. */
  readonly when: number;
  /** The file's path, for messages. */
  readonly path: string;
  /** Its whole text, unchanged. */
  readonly sql: string;
  /** SHA-256 of the text in hex, as Drizzle's `readMigrationFiles` computes it. */
  readonly hash: string;
}

/** The migrations of a Drizzle folder, in the order in which they are applied. */
export interface Folder {
  readonly layout: Layout;
  readonly files: readonly MigrationFile[];
  readonly warnings: readonly FolderWarning[];
}

/**
 * Reads a Drizzle folder. Layout 0.x: `meta/_journal.json` beside one `<tag>.sql` per entry; layout 1.0: one
 * folder `<YYYYMMDDHHMMSS>_<name>` per migration, with a `migration.sql`.
 * @param now epoch milliseconds
 * @throws MigratorError with one of the folder's codes; the message names the file that is wrong
 */
export async function readFolder(folder: string, now: number = Date.now()): Promise<Folder> {
  const listed = await listFolder(folder);
  const journalPath = join(folder, "meta", "_journal.json");
  const journal = await readJournal(folder, journalPath);
  const named = await findNamedFolders(folder, listed);
  const [first] = named;
  if (first !== undefined && journal !== null) throw mixedLayouts(folder, first.path);
  if (first !== undefined) return readNamedFolders(folder, named, listed, now);
  if (journal === null) {
    throw new MigratorError(
      "JOURNAL_MISSING",
      `${folder} has no migrations: neither meta/_journal.json, as drizzle-kit 0.x writes it, nor a folder with a migration.sql, as 1.0 does. Run drizzle-kit generate, or name the folder that it generates into ("out" in drizzle.config.ts).`,
    );
  }
  const entries = parseJournal(journal, journalPath);
  const files = entries.map((entry) => readJournaledFile(folder, entry, journalPath));
  const known = new Set(entries.map(({ tag }) => `${tag}.sql`));
  const warnings = [
    ...backwardEntries(entries, journalPath),
    ...oddTimes(entries, journalPath, now),
    ...orphans(folder, listed, known),
  ];
  return { layout: "0.x", files, warnings };
}

async function listFolder(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (cause) {
    throw new MigratorError(
      "FOLDER_NOT_FOUND",
      `The migrations folder ${folder} cannot be read (${errno(cause)}). Name the folder that drizzle-kit generates into.`,
      { cause },
    );
  }
}

async function readJournal(folder: string, path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (errno(cause) === "ENOENT" || errno(cause) === "ENOTDIR") return null;
    throw new MigratorError(
      "JOURNAL_INVALID",
      `${path} cannot be read (${errno(cause)}). Make it a readable file, or restore ${folder} from version control.`,
      { cause },
    );
  }
}

/** A migration's folder in the layout of drizzle-kit 1.0. */
interface NamedFolder {
  readonly name: string;
  /** Its `migration.sql`. */
  readonly path: string;
}

/** Finds every folder with a `migration.sql`, in Drizzle's order (drizzle-orm 1.0 `migrator.js`). */
async function findNamedFolders(
  folder: string,
  listed: readonly Dirent[],
): Promise<readonly NamedFolder[]> {
  const found: NamedFolder[] = [];
  for (const { name } of listed.filter((each) => !each.isFile())) {
    const path = join(folder, name, "migration.sql");
    if ((await stat(path).catch(() => null)) !== null) found.push({ name, path });
  }
  return found.sort((a, b) => a.name.localeCompare(b.name, "en"));
}

function readNamedFolders(
  folder: string,
  named: readonly NamedFolder[],
  listed: readonly Dirent[],
  now: number,
): Folder {
  const files = named.map(({ name, path }) => ({
    tag: name,
    when: timeInName(name, path),
    path,
    ...readSql(name, path),
  }));
  const warnings = [...futureFolder(files, now), ...orphans(folder, listed, new Set())];
  return { layout: "1.0", files, warnings };
}

/** @returns epoch milliseconds of `YYYYMMDDHHMMSS` in UTC */
function timeInName(name: string, path: string): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_/.exec(name) ?? [];
  const [year, month, day, hour, minute, second] = parts.map(Number);
  const when =
    year === undefined || month === undefined
      ? Number.NaN
      : Date.UTC(year, month - 1, day, hour, minute, second);
  if (!Number.isNaN(when)) return when;
  throw new MigratorError(
    "LAYOUT_UNSUPPORTED",
    `${path}: the name of its folder must begin with a time, YYYYMMDDHHMMSS_, as drizzle-kit 1.0 writes it; Drizzle's own migrator fails on it, too. Rename the folder, or move it out of the migrations.`,
    { migration: name },
  );
}

function mixedLayouts(folder: string, path: string): MigratorError {
  return new MigratorError(
    "LAYOUT_UNSUPPORTED",
    `${path} has the layout of drizzle-kit 1.0, but ${folder} also has a journal as drizzle-kit 0.x writes it, so nobody can tell which of the two counts. Run "drizzle-kit up", or remove what does not belong there.`,
  );
}

function readJournaledFile(
  folder: string,
  { tag, when }: Timed,
  journalPath: string,
): MigrationFile {
  const path = join(folder, `${tag}.sql`);
  try {
    return { tag, when, path, ...readSql(tag, path) };
  } catch (cause) {
    if (!(cause instanceof MigratorError) || errno(cause.cause) !== "ENOENT") throw cause;
    throw new MigratorError(
      "MIGRATION_FILE_MISSING",
      `${path} does not exist, although ${journalPath} lists ${tag}. Restore the file, or remove its entry if it was never applied anywhere.`,
      { cause: cause.cause, migration: tag },
    );
  }
}

/** Reads synchronously: a promise for each of a thousand small files takes five times as long. */
function readSql(tag: string, path: string): Pick<MigrationFile, "sql" | "hash"> {
  try {
    refuseTooLong(tag, path, statSync(path).size);
    const bytes = readFileSync(path);
    return { sql: decode(bytes, tag, path), hash: hash("sha256", bytes, "hex") };
  } catch (cause) {
    if (cause instanceof MigratorError) throw cause;
    throw unreadable(tag, path, `(${errno(cause)}). Make it a readable file.`, cause);
  }
}

function refuseTooLong(tag: string, path: string, bytes: number): void {
  if (bytes <= constants.MAX_STRING_LENGTH) return;
  const [has, limit] = [bytes, constants.MAX_STRING_LENGTH].map((each) =>
    Math.floor(each / 1024 ** 2).toLocaleString("en"),
  );
  const reason = `because it has ${has} MB, and a text in Node.js has at most ${limit} MB. Load its data outside of the migrations.`;
  throw unreadable(tag, path, reason);
}

/** Decodes strictly: Drizzle's lenient reading would hash and send replacement characters instead. */
function decode(bytes: Buffer, tag: string, path: string): string {
  const defect = defectOf(bytes);
  if (defect === null) return bytes.toString("utf8");
  const { code = "MIGRATION_FILE_UNREADABLE", line = 1, column = 1, reason } = defect;
  const message = `${path}:${line}:${column}: ${reason}`;
  throw new MigratorError(code, message, { migration: tag });
}

function unreadable(tag: string, path: string, reason: string, cause?: unknown): MigratorError {
  return new MigratorError("MIGRATION_FILE_UNREADABLE", `${path} cannot be read ${reason}`, {
    cause,
    migration: tag,
  });
}

function orphans(
  folder: string,
  listed: readonly Dirent[],
  known: ReadonlySet<string>,
): readonly FolderWarning[] {
  return listed
    .filter((each) => each.name.endsWith(".sql") && !each.isDirectory() && !known.has(each.name))
    .map((each) => join(folder, each.name))
    .sort()
    .map((path) => ({
      code: "ORPHAN_FILE",
      message: `${path} is not one of the migrations and is never applied. Remove it, or create it with "drizzle-kit generate --custom".`,
    }));
}

function errno(error: unknown): string {
  const code = typeof error === "object" && error !== null ? Reflect.get(error, "code") : null;
  return typeof code === "string" ? code : String(error);
}
