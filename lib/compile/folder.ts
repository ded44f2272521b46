import type { Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Warning } from "../bundle.ts";
import { MigratorError } from "../errors.ts";
import { backwardEntries, type JournalEntry, parseJournal } from "./journal.ts";

/** One migration as it lies on the disk. */
export interface MigrationFile {
  readonly tag: string;
  /** The journal's `when`, epoch milliseconds. */
  readonly when: number;
  /** Where the file is, for messages. */
  readonly path: string;
  /** Its whole text, unchanged. */
  readonly sql: string;
}

/** What a Drizzle folder holds, in the order in which it is applied. */
export interface Folder {
  readonly files: readonly MigrationFile[];
  readonly warnings: readonly Warning[];
}

/** drizzle-kit 1.0 names a migration's folder `YYYYMMDDHHMMSS_name` and keeps no journal. */
const DATED_FOLDER = /^\d{14}_/;

/**
 * Reads a Drizzle 0.x folder: `meta/_journal.json` beside one `<tag>.sql` per entry.
 * @throws MigratorError with one of the folder's codes, naming the file that is wrong
 */
export async function readFolder(folder: string): Promise<Folder> {
  const listed = await listFolder(folder);
  const journalPath = join(folder, "meta", "_journal.json");
  const journal = await readJournal(folder, journalPath);
  await refuseDatedFolders(folder, listed, journal !== null);
  if (journal === null) {
    throw new MigratorError(
      "JOURNAL_MISSING",
      `${journalPath} does not exist. Name the folder that drizzle-kit generates into ("out" in drizzle.config.ts), with its meta folder.`,
    );
  }
  const entries = parseJournal(journal, journalPath);
  const files: MigrationFile[] = [];
  // One at a time: a thousand open files would meet the usual limit of 1,024.
  for (const entry of entries) files.push(await readMigrationFile(folder, entry, journalPath));
  const warnings = [...backwardEntries(entries, journalPath), ...orphans(folder, listed, entries)];
  return { files, warnings };
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

async function refuseDatedFolders(
  folder: string,
  listed: readonly Dirent[],
  journaled: boolean,
): Promise<void> {
  for (const { name } of listed.filter((each) => DATED_FOLDER.test(each.name))) {
    const path = join(folder, name, "migration.sql");
    const found = await stat(path).catch(() => null);
    if (found === null) continue;
    throw new MigratorError(
      "LAYOUT_UNSUPPORTED",
      journaled
        ? `${path} has the layout of drizzle-kit 1.0, but ${folder} also has a journal as drizzle-kit 0.x writes it, so nobody can tell which of the two counts. Keep one layout, for now that of drizzle-kit 0.x.`
        : `${path} has the layout that drizzle-kit 1.0 writes, which is not supported yet. Generate the migrations with drizzle-kit 0.x, which keeps meta/_journal.json.`,
    );
  }
}

async function readMigrationFile(
  folder: string,
  { tag, when }: JournalEntry,
  journalPath: string,
): Promise<MigrationFile> {
  const path = join(folder, `${tag}.sql`);
  try {
    return { tag, when, path, sql: decode(await readFile(path), tag, path) };
  } catch (cause) {
    if (cause instanceof MigratorError) throw cause;
    if (errno(cause) !== "ENOENT") throw unreadable(tag, path, `(${errno(cause)})`, cause);
    throw new MigratorError(
      "MIGRATION_FILE_MISSING",
      `${path} does not exist, although ${journalPath} lists ${tag}. Restore the file, or remove its entry if it was never applied anywhere.`,
      { cause, migration: tag },
    );
  }
}

/** Strict, because Drizzle's lenient reading would hash and send replacement characters instead. */
function decode(bytes: Uint8Array, tag: string, path: string): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new MigratorError(
      "BYTE_ORDER_MARK",
      `${path}, line 1, column 1: the file starts with a byte order mark, which PostgreSQL refuses as a syntax error. Save it as UTF-8 without BOM.`,
      { migration: tag },
    );
  }
  // PostgreSQL takes a query as a C string; a zero byte also is how UTF-16 without a mark shows.
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw unreadable(tag, path, `as text (byte ${zero + 1} is zero)`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw unreadable(tag, path, "as text (it is not valid UTF-8)", cause);
  }
}

function unreadable(tag: string, path: string, reason: string, cause?: unknown): MigratorError {
  return new MigratorError(
    "MIGRATION_FILE_UNREADABLE",
    `${path} cannot be read ${reason}. Make it a readable UTF-8 file.`,
    { cause, migration: tag },
  );
}

function orphans(
  folder: string,
  listed: readonly Dirent[],
  entries: readonly JournalEntry[],
): readonly Warning[] {
  const known = new Set(entries.map(({ tag }) => `${tag}.sql`));
  return listed
    .filter((each) => each.name.endsWith(".sql") && !each.isDirectory() && !known.has(each.name))
    .map((each) => join(folder, each.name))
    .sort()
    .map((path) => ({
      code: "ORPHAN_FILE",
      message: `${path} is not in the journal and is never applied. Remove it, or create it with "drizzle-kit generate --custom".`,
    }));
}

function errno(error: unknown): string {
  const code = typeof error === "object" && error !== null ? Reflect.get(error, "code") : null;
  return typeof code === "string" ? code : String(error);
}
