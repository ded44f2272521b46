import { MigratorError } from "../errors.ts";
import { isRecord } from "../json.ts";
import { quoted } from "../text.ts";
import type { Timed } from "./journal-times.ts";

/** drizzle-kit wrote `pg` before 0.21. Drizzle's own migrator never reads the dialect. */
const POSTGRES_DIALECTS: readonly unknown[] = ["postgresql", "pg"];

/**
 * Reads a journal. The order of its list counts. `version`, `idx` and `breakpoints` are not read, as in Drizzle's
 * `readMigrationFiles` (drizzle-orm 0.45 `migrator.js`).
 * @param path the journal's path, for messages
 * @throws MigratorError `JOURNAL_INVALID` or `DUPLICATE_TAG`
 */
export function parseJournal(text: string, path: string): readonly Timed[] {
  const journal = parseJson(text, path);
  if (!isRecord(journal)) throw invalid(path, "it is not a JSON object");
  const { dialect, entries } = journal;
  if (dialect !== undefined && !POSTGRES_DIALECTS.includes(dialect)) {
    throw invalid(
      path,
      `its dialect is ${quoted(dialect)}, and this migrator applies "postgresql"`,
    );
  }
  if (!Array.isArray(entries)) throw invalid(path, `it has no list named "entries"`);
  const found = entries.map((entry: unknown, index) => readEntry(entry, index, path));
  refuseDuplicates(found, path);
  return found;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(path, notJson(text, cause), cause);
  }
}

/** Names the usual ways in which a journal is damaged, and else the parser's reason. */
function notJson(text: string, cause: unknown): string {
  if (text.startsWith("\ufeff")) {
    return "it starts with a byte order mark, which Drizzle's own migrator refuses, too. Save it as UTF-8 without BOM";
  }
  if (text.includes("\0") || text.startsWith("\ufffd\ufffd")) {
    return "it is no UTF-8 text, perhaps UTF-16. Save it as UTF-8 without BOM";
  }
  const marker = /^(?:<{7}|={7}|>{7})(?= |\r?$)/m.exec(text);
  if (marker !== null) {
    const line = text.slice(0, marker.index).split("\n").length;
    return `line ${line} is a merge conflict marker. Keep the entries of both sides, in the order in which they were applied, and remove the markers`;
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return `it is not JSON (${reason.replace(/\s+/g, " ")})`;
}

function readEntry(value: unknown, index: number, path: string): Timed {
  const name = `entry ${index + 1}`;
  if (!isRecord(value)) throw invalid(path, `${name} is not an object`);
  const { tag, when } = value;
  if (typeof tag !== "string" || tag === "") throw invalid(path, `${name} has no tag`);
  if (["/", "\\", "..", "\0"].some((part) => tag.includes(part))) {
    throw invalid(path, `the tag of ${name}, ${JSON.stringify(tag)}, is not a plain file name`);
  }
  // Drizzle's own migrator reads the digits of a text as a number.
  const asText = typeof when === "string" && /^-?\d+$/.test(when);
  const time = asText ? Number(when) : when;
  if (typeof time !== "number" || !Number.isSafeInteger(time)) {
    throw invalid(
      path,
      `${name} (${tag}) has no "when" in whole milliseconds, but ${quoted(when)}`,
    );
  }
  return { tag, when: time, ...(asText ? { asText } : {}) };
}

function refuseDuplicates(entries: readonly Timed[], path: string): void {
  const seen = new Set<string>();
  for (const { tag } of entries) {
    if (seen.has(tag)) {
      throw new MigratorError(
        "DUPLICATE_TAG",
        `${path} lists ${tag} more than once, and its file would be applied as often. Remove the surplus entry, which a merge usually left behind.`,
        { migration: tag },
      );
    }
    seen.add(tag);
  }
}

function invalid(path: string, reason: string, cause?: unknown): MigratorError {
  return new MigratorError(
    "JOURNAL_INVALID",
    `${path} cannot be used: ${reason}. Restore it from version control. Where a database has these migrations, never generate them anew.`,
    { cause },
  );
}
