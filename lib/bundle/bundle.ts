import { join } from "node:path";
import type { Warning } from "../errors.ts";
import type { LockMode } from "../postgres/locks.ts";
import type { ObjectName } from "../postgres/names.ts";
import type { Finding } from "./finding.ts";
import type { RuleId } from "./rule-ids.ts";

/** All migrations of one deployment: plain JSON, made by `compileBundle`, read by everything else. */
export interface Bundle {
  /** Version of this shape. A reader refuses one that it does not know. */
  readonly bundleVersion: 1;
  /** Which of Drizzle's folder layouts it came from. */
  readonly layout: Layout;
  /** SHA-256, hex, over the ordered tags, times and hashes: changes when and only when the migrations do. */
  readonly hash: string;
  /** In the journal's order, which is the order in which they are applied. */
  readonly migrations: readonly Migration[];
  /** What is odd about the folder without being wrong. */
  readonly warnings: readonly Warning[];
}

/** `0.x`: `<tag>.sql` files with a journal; `1.0`: a folder `<YYYYMMDDHHMMSS>_<name>` for each migration. */
export type Layout = "0.x" | "1.0";

/** One SQL file with its time. */
export interface Migration {
  /** Layout 0.x: the file's name without `.sql`; 1.0: the name of its folder. */
  readonly tag: string;
  /** What a 1.0 ledger calls it: the name of its folder, or the one that `drizzle-kit up` would give it. */
  readonly name: string;
  /**
   * Epoch milliseconds, the ledger's `created_at`. Layout 0.x: the journal's `when`, the author's clock;
   * 1.0: the time in the folder's name, whole seconds.
   */
  readonly when: number;
  /** SHA-256 of the file's text, hex, as Drizzle computes it. */
  readonly hash: string;
  /** The file's whole text, unchanged. */
  readonly sql: string;
  readonly statements: readonly Statement[];
  /**
   * SHA-256 of earlier versions of the file, as far as version control had them, that differ from this one in
   * comments and blanks only. A ledger row with one of these belongs to a file that was edited for the eye.
   */
  readonly sameAs?: readonly string[];
  /** Whether a literal in it spans lines, so that its text with other line ends is another one. */
  readonly lineEndsMatter?: true;
  /** What its author says of the whole file in comments; absent where that is nothing. */
  readonly directives?: FileDirectives;
  /** What the rules of `check` have against it; see `docs/rules.md`. Nothing that is applied depends on them. */
  readonly findings: readonly Finding[];
}

/** What a directive comment says of a statement. See `docs/directives.md`. */
export interface StatementDirectives {
  /** How long it may wait for a lock at a time, in ms, in place of the request's `ddlLockTimeoutMs`. */
  readonly lockTimeoutMs?: number;
  /** The rules of `check` that it may break. */
  readonly allow?: readonly RuleId[];
}

/** What directive comments at its head say of a whole file. */
export interface FileDirectives extends StatementDirectives {
  /** Each statement commits by itself, until a BEGIN. */
  readonly noTransaction?: true;
}

/** One SQL statement, as PostgreSQL's own parser cuts it. */
export interface Statement {
  /** UTF-16 offset into the migration's `sql` of the statement's first character (comments before it left out). */
  readonly start: number;
  /** UTF-16 offset just behind its last character, the semicolon left out. */
  readonly end: number;
  /** Index, from 0, of the chunk (text between two of Drizzle's statement breakpoints) that holds it. */
  readonly chunk: number;
  /** From 1, in the file. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Hex, over its tokens: comments and the blanks between them do not change it. */
  readonly digest: string;
  /** What the parser calls it: `CreateStmt`, `IndexStmt`, `TransactionStmt` …; `UNPARSED` where it cannot read it. */
  readonly kind: string;
  readonly mode: StatementMode;
  /** What a later run has to know of it; null for most. */
  readonly effect: Effect | null;
  /**
   * What it names or locks, each once, as far as its text tells; absent where that is nothing. What functions,
   * triggers and foreign keys do behind it is not seen.
   */
  readonly touches?: readonly Touched[];
  /** What its author says of it in comments; absent where that is nothing. */
  readonly directives?: StatementDirectives;
}

/** Hex digits of a statement's digest: enough to notice an edit. */
export const DIGEST_LENGTH = 12;

/** The kind of a statement that a directive lets through although the parser cannot read it. */
export const UNPARSED = "Unparsed";

/**
 * How a statement stands to transactions: it can run in one; it must run `alone`, because the server
 * refuses it in a transaction; or it begins or ends one itself.
 */
export type StatementMode = (typeof STATEMENT_MODES)[number];

/** Every mode there is. */
export const STATEMENT_MODES = [
  "transactional",
  "alone",
  "begin",
  "commit",
  "commit-and-begin",
  "rollback",
  "rollback-and-begin",
] as const;

/** Something that a statement names. */
export interface Touched extends ObjectName {
  /**
   * `table`, `index`, `view`, `type`, `function` … Some relations are locked that the statement does not name:
   * then the kind says how the name leads to them, and there may be none: `table-of-index`,
   * `tables-of-constraint`, `tables-linked-by-foreign-key`, `parents-of-table`, … See `docs/locks.md`.
   */
  readonly kind: string;
  /** The strongest lock that the statement takes on it; absent where it takes none, or where it makes it. */
  readonly lock?: LockMode;
}

/** What a statement does that a later run must be able to find again, or that binds those behind it. */
export type Effect =
  | { readonly kind: "builds-index"; readonly table: ObjectName; readonly index: string | null }
  | { readonly kind: "drops-indexes"; readonly indexes: readonly ObjectName[] }
  | { readonly kind: "detaches"; readonly table: ObjectName; readonly partition: ObjectName }
  | {
      readonly kind: "creates" | "drops";
      readonly object: "database" | "tablespace" | "subscription";
      readonly name: string;
    }
  /** REINDEX CONCURRENTLY: broken off it leaves INVALID twins; of this index or table, null: of any. */
  | { readonly kind: "rebuilds-indexes"; readonly of: ObjectName | null }
  /** Running it twice leaves the same as running it once: VACUUM, REINDEX, ALTER SYSTEM. */
  | { readonly kind: "repeatable" }
  /** Whether it has happened cannot be found out afterwards. */
  | { readonly kind: "unknown" }
  /** The value can be used only once this is committed, unless the type is as new as the value. */
  | { readonly kind: "adds-enum-value"; readonly type: ObjectName; readonly value: string }
  | { readonly kind: "creates-type"; readonly type: ObjectName }
  /** Sets something for the session, which the statements behind it may need. */
  | { readonly kind: "sets" };

/** The separator that drizzle-kit writes and that Drizzle's migrator splits at, whatever surrounds it. */
export const STATEMENT_BREAKPOINT = "--> statement-breakpoint";

/** The text of one statement, as it is sent to the server. */
export function statementText(migration: Migration, statement: Statement): string {
  return migration.sql.slice(statement.start, statement.end);
}

/** The chunks of a migration, exactly as Drizzle's `readMigrationFiles` cuts them. */
export function chunksOf(migration: Migration): readonly string[] {
  return migration.sql.split(STATEMENT_BREAKPOINT);
}

/**
 * What a 1.0 ledger calls a migration. For one of the 0.x layout that is what `drizzle-kit up` makes of
 * it: the time in UTC, to the second, and the tag without all up to its first underscore.
 */
export function migrationName(layout: Layout, tag: string, when: number): string {
  if (layout === "1.0") return tag;
  const [, ...rest] = tag.split("_");
  const date = new Date(when);
  const parts = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  const stamp = parts.map((part) => String(part).padStart(2, "0")).join("");
  return `${date.getUTCFullYear()}${stamp}_${rest.join("_")}`;
}

/** Where a migration's file lies below its folder. */
export function migrationFile(layout: Layout, tag: string): string {
  return layout === "1.0" ? join(tag, "migration.sql") : `${tag}.sql`;
}
