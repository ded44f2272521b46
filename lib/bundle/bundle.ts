/*
 * Bundle: the migrations of one deployment, as plain JSON. The files of an asset's bundle come in at run time, or the JSON of
 * a whole one, and a checked bundle goes out, with the steps into which its migrations are cut. Nothing here parses SQL, reads a folder
 * or asks a database.
 */

import { join } from "node:path";
import type { LockMode } from "../postgres/locks.ts";
import type { ObjectName } from "../postgres/names.ts";
import type { Finding } from "./finding.ts";
import type { FolderWarning } from "./folder-warning.ts";
import type { RuleId } from "./rule-ids.ts";

/** All migrations of one deployment: plain JSON, made by `compileBundle`, read by everything else. */
export interface Bundle {
  /** Version of this shape. A reader refuses one that it does not know. */
  readonly bundleVersion: 1;
  /** The layout of the folder that it came from. */
  readonly layout: Layout;
  /** SHA-256, hex, over the ordered tags, times and hashes: changes when and only when the migrations do. */
  readonly hash: string;
  /**
   * SHA-256, hex, over all that was compiled of the migrations, of each text its `hash`. Absent in a bundle of an
   * earlier version.
   */
  readonly contentHash?: string;
  /** In the journal's order, which is the order in which they are applied. */
  readonly migrations: readonly Migration[];
  readonly warnings: readonly FolderWarning[];
  /** Made with an asset, whose migrations are read only when somebody asks for them. Default: made of the migrations. */
  readonly overview?: Overview;
}

/** The facts about all migrations of a bundle together, by which a run finds out that nothing is pending. */
export interface Overview {
  /** Tag of the last migration; null without any. */
  readonly latest: string | null;
  /**
   * For each format of a ledger the digest of one that has exactly one row for each migration, and no other: SHA-256, hex,
   * as the server computes it for `ledgerQuestion`. Null where such a ledger would leave a question open.
   */
  readonly complete: Readonly<Record<Layout, string | null>>;
}

/** `0.x`: `<tag>.sql` files with a journal; `1.0`: a folder `<YYYYMMDDHHMMSS>_<name>` for each migration. */
export type Layout = "0.x" | "1.0";

/** One SQL file with its time. */
export interface Migration {
  /** Layout 0.x: the file's name without `.sql`; 1.0: the name of its folder. */
  readonly tag: string;
  /** Its name in a 1.0 ledger: the name of its folder, or the one that `drizzle-kit up` would give it. */
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
  /** The number of its statements, where they are read only when somebody asks for them. Default: counted. */
  readonly statementCount?: number;
  /**
   * SHA-256 of earlier versions of the file, as far as version control had them, that differ from this one in
   * comments and blanks only. A ledger row with one of these belongs to a file with a cosmetic edit.
   */
  readonly sameAs?: readonly string[];
  /** Whether a literal in it spans lines. Then other line ends make another text. */
  readonly lineEndsMatter?: true;
  /** The author's directives for the whole file; absent without any. */
  readonly directives?: FileDirectives;
  /** The findings of the rules of `check`; see `docs/reference/rules.md`. They never decide what is applied. */
  readonly findings: readonly Finding[];
}

/** The directives for one statement, written as comments. See `docs/reference/directives.md`. */
export interface StatementDirectives {
  /** Longest wait for a lock, in ms, in place of the request's `ddlLockTimeoutMs`. */
  readonly lockTimeoutMs?: number;
  /** The rules of `check` that it may break. */
  readonly allow?: readonly RuleId[];
}

/** The directives for a whole file, written as comments at its head. */
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
  /** Digest of its tokens, in hex. Comments, and the blanks between tokens, do not change it. */
  readonly digest: string;
  /**
   * Its kind in the parser's words: `CreateStmt`, `IndexStmt`, `TransactionStmt` …; `UNPARSED` if the parser cannot
   * read it.
   */
  readonly kind: string;
  readonly mode: StatementMode;
  /** The effect that a later run has to know; null for most statements. */
  readonly effect: Effect | null;
  /**
   * The objects that its text names or locks, each once; absent without any. The work of functions, triggers and
   * foreign keys behind it is not seen.
   */
  readonly touches?: readonly Touched[];
  /** The author's directives for it; absent without any. */
  readonly directives?: StatementDirectives;
  /**
   * The enum values that it uses and that statements before it in the folder add; absent without any. A use that the
   * parse tree does not show is not among them.
   */
  readonly newValues?: readonly NewValue[];
}

/** An enum value that a statement of the folder adds to a type. */
export interface NewValue {
  readonly added: StatementRef;
  /** The statement that creates the type; null where no statement of the folder shows that it does. */
  readonly created: StatementRef | null;
}

/** A statement, by its migration's tag and its index, from 0. */
export interface StatementRef {
  readonly tag: string;
  readonly index: number;
}

/** Number of hex digits in a statement's digest: enough to notice an edit. */
export const DIGEST_LENGTH = 12;

/** The kind of a statement that a directive lets through although the parser cannot read it. */
export const UNPARSED = "Unparsed";

/**
 * The relation of a statement to transactions. It can run in one; or it must run `alone`, because the server refuses
 * it in a transaction; or it begins or ends one itself.
 */
export type StatementMode = (typeof STATEMENT_MODES)[number];

/** Every mode. */
export const STATEMENT_MODES = [
  "transactional",
  "alone",
  "begin",
  "commit",
  "commit-and-begin",
  "rollback",
  "rollback-and-begin",
] as const;

/** An object that a statement names or locks. */
export interface Touched extends ObjectName {
  /**
   * `table`, `index`, `view`, `type`, `function` … A statement can lock relations that it does not name. Then the
   * kind says how the name leads to them: `table-of-index`, `tables-of-constraint`, `tables-linked-by-foreign-key`,
   * `parents-of-table`, … Such relations need not exist. See `docs/reference/locks.md`.
   */
  readonly kind: string;
  /** The strongest lock that the statement takes on it; absent if it takes no lock, or makes the object. */
  readonly lock?: LockMode;
}

/** An effect that a later run must be able to find again, or that later statements depend on. */
export type Effect =
  | {
      readonly kind: "builds-index";
      readonly table: ObjectName;
      readonly index: string | null;
      /** Absent in a bundle of an earlier version. */
      readonly unique?: boolean;
      /** UTF-16 offset into the statement's text of the part behind the table: method, keys, predicate. */
      readonly from?: number;
    }
  | { readonly kind: "drops-indexes"; readonly indexes: readonly ObjectName[] }
  | { readonly kind: "detaches"; readonly table: ObjectName; readonly partition: ObjectName }
  | {
      readonly kind: "creates" | "drops";
      readonly object: "database" | "tablespace" | "subscription";
      readonly name: string;
    }
  /** REINDEX CONCURRENTLY. After an interruption INVALID twins stay: of this index or table; null: of any. */
  | { readonly kind: "rebuilds-indexes"; readonly of: ObjectName | null }
  /** Running it twice leaves the same as running it once: VACUUM, REINDEX, ALTER SYSTEM. */
  | { readonly kind: "repeatable" }
  /** Nobody can find out afterwards whether it has happened. */
  | { readonly kind: "unknown" }
  /** The value can be used only once this is committed, unless the type is as new as the value. */
  | { readonly kind: "adds-enum-value"; readonly type: ObjectName; readonly value: string }
  | { readonly kind: "creates-type"; readonly type: ObjectName }
  /** Sets something for the session that later statements may need. */
  | { readonly kind: "sets" };

/** The separator that drizzle-kit writes and that Drizzle's migrator splits at, whatever surrounds it. */
export const STATEMENT_BREAKPOINT = "--> statement-breakpoint";

/** Returns the text of one statement, as it is sent to the server. */
export function statementText(migration: Migration, statement: Statement): string {
  return migration.sql.slice(statement.start, statement.end);
}

/** Returns the number of a migration's statements, without reading them. */
export function countStatements(
  migration: Pick<Migration, "statements" | "statementCount">,
): number {
  return migration.statementCount ?? migration.statements.length;
}

/** Returns the chunks of a migration, exactly as Drizzle's `readMigrationFiles` cuts them. */
export function chunksOf(migration: Migration): readonly string[] {
  return migration.sql.split(STATEMENT_BREAKPOINT);
}

/**
 * Returns the name of a migration in a 1.0 ledger. For the 0.x layout it is the name that `drizzle-kit up` makes: the
 * time in UTC, to the second, and the tag without all up to its first underscore.
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

/** Returns the path of a migration's file below the folder of migrations. */
export function migrationFile(layout: Layout, tag: string): string {
  return layout === "1.0" ? join(tag, "migration.sql") : `${tag}.sql`;
}
