import { createHash } from "node:crypto";
import { MigratorError } from "./errors.ts";

/** All migrations of one deployment: plain JSON, made by `compileBundle`, read by everything else. */
export interface Bundle {
  /** Version of this shape. A reader refuses one that it does not know. */
  readonly bundleVersion: 1;
  /** Which of Drizzle's folder layouts it came from. */
  readonly layout: "0.x";
  /** SHA-256, hex, over the ordered tags, times and hashes: changes when and only when the migrations do. */
  readonly hash: string;
  /** In the journal's order, which is the order in which they are applied. */
  readonly migrations: readonly Migration[];
  /** What is odd about the folder without being wrong. */
  readonly warnings: readonly Warning[];
}

/** One SQL file with its journal entry. */
export interface Migration {
  /** The file's name without `.sql`. */
  readonly tag: string;
  /** The journal's `when`: epoch milliseconds of the author's clock; the ledger's `created_at`. */
  readonly when: number;
  /** SHA-256 of the file's text, hex, as Drizzle computes it. */
  readonly hash: string;
  /** The file's whole text, unchanged. */
  readonly sql: string;
  readonly statements: readonly Statement[];
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
  /** What the parser calls it: `CreateStmt`, `IndexStmt`, `TransactionStmt` … */
  readonly kind: string;
}

/** Something worth knowing that stops nothing. */
export interface Warning {
  readonly code: string;
  readonly message: string;
}

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

/** The hash of a list of migrations; see `Bundle.hash`. */
export function bundleHash(
  migrations: readonly Pick<Migration, "tag" | "when" | "hash">[],
): string {
  const lines = migrations.map(({ tag, when, hash }) => JSON.stringify([tag, when, hash]));
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

/**
 * Reads a compiled bundle and refuses a damaged one.
 * @param value what `JSON.parse` made of `bundle.json`
 * @throws MigratorError `BUNDLE_INVALID`, naming the first thing that is wrong
 */
export function readBundle(value: unknown): Bundle {
  if (!isRecord(value)) throw invalid("it is not a JSON object");
  if (value.bundleVersion !== 1) {
    throw invalid(
      `its bundleVersion is ${JSON.stringify(value.bundleVersion)}, and this migrator reads 1`,
    );
  }
  if (value.layout !== "0.x") throw invalid(`its layout is ${JSON.stringify(value.layout)}`);
  if (!Array.isArray(value.migrations)) throw invalid("it has no list of migrations");
  const migrations = value.migrations.map(readMigration);
  const hash = bundleHash(migrations);
  if (value.hash !== hash) throw invalid("its hash does not match its migrations");
  const warnings = Array.isArray(value.warnings) ? value.warnings.filter(isWarning) : [];
  return { bundleVersion: 1, layout: "0.x", hash, migrations, warnings };
}

function readMigration(value: unknown, index: number): Migration {
  const name = `migration ${index + 1}`;
  if (!isRecord(value)) throw invalid(`${name} is not an object`);
  const { tag, when, hash, sql, statements } = value;
  if (typeof tag !== "string" || tag === "") throw invalid(`${name} has no tag`);
  if (typeof when !== "number" || !Number.isSafeInteger(when)) throw invalid(`${tag} has no time`);
  if (typeof sql !== "string") throw invalid(`${tag} has no SQL text`);
  if (hash !== createHash("sha256").update(sql).digest("hex")) {
    throw invalid(`the text of ${tag} does not match its hash`);
  }
  if (!Array.isArray(statements)) throw invalid(`${tag} has no list of statements`);
  return {
    tag,
    when,
    hash,
    sql,
    statements: statements.map((each) => readStatement(each, tag, sql.length)),
  };
}

function readStatement(value: unknown, tag: string, length: number): Statement {
  if (!isRecord(value)) throw invalid(`a statement of ${tag} is not an object`);
  const { start, end, chunk, line, column, kind } = value;
  if (
    !isCount(start) ||
    !isCount(end) ||
    !isCount(chunk) ||
    !isCount(line) ||
    !isCount(column) ||
    typeof kind !== "string" ||
    end > length ||
    start >= end
  ) {
    throw invalid(`a statement of ${tag} lies outside its file`);
  }
  return { start, end, chunk, line, column, kind };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWarning(value: unknown): value is Warning {
  return isRecord(value) && typeof value.code === "string" && typeof value.message === "string";
}

function invalid(reason: string): MigratorError {
  return new MigratorError(
    "BUNDLE_INVALID",
    `The bundle cannot be used: ${reason}. Compile it again with "neon-migrate bundle".`,
  );
}
