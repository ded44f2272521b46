import { createHash } from "node:crypto";
import { RULE_IDS, type RuleId } from "./check/rule-ids.ts";
import { MigratorError } from "./errors.ts";
import { type Finding, isFinding } from "./findings.ts";
import { LOCK_MODES, type LockMode } from "./locks.ts";
import { quoted } from "./redact.ts";

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
  /** Why no transaction can hold it; there exactly where its mode is `alone`. */
  readonly why?: AloneReason;
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

const STATEMENT_MODES = [
  "transactional",
  "alone",
  "begin",
  "commit",
  "commit-and-begin",
  "rollback",
  "rollback-and-begin",
] as const;

/**
 * Why the server refuses a statement in a transaction: it commits in between (`concurrently`,
 * `many-relations`, `vacuum`), or what it does cannot be rolled back. `unparsed`: nothing is known of it.
 */
export type AloneReason = (typeof ALONE_REASONS)[number];

const ALONE_REASONS = [
  "concurrently",
  "many-relations",
  "vacuum",
  "session",
  "cluster-settings",
  "database",
  "tablespace",
  "subscription",
  "two-phase-commit",
  "unparsed",
] as const;

/** A name as it was written, unquoted; schema null: found by the search path. */
export interface ObjectName {
  readonly schema: string | null;
  readonly name: string;
}

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
    throw invalid(`its bundleVersion is ${quoted(value.bundleVersion)}, and this migrator reads 1`);
  }
  const { layout } = value;
  if (layout !== "0.x" && layout !== "1.0") {
    throw invalid(`its layout is ${quoted(layout)}`);
  }
  if (!Array.isArray(value.migrations)) throw invalid("it has no list of migrations");
  const migrations = value.migrations.map((each, index) => readMigration(each, index, layout));
  if (new Set(migrations.map(({ tag }) => tag)).size < migrations.length) {
    throw invalid("it holds a migration twice");
  }
  const hash = bundleHash(migrations);
  if (value.hash !== hash) throw invalid("its hash does not match its migrations");
  const warnings = Array.isArray(value.warnings) ? value.warnings.filter(isWarning) : [];
  return { bundleVersion: 1, layout, hash, migrations, warnings };
}

function readMigration(value: unknown, index: number, layout: Layout): Migration {
  const name = `migration ${index + 1}`;
  if (!isRecord(value)) throw invalid(`${name} is not an object`);
  const { tag, when, hash, sql, statements, findings } = value;
  if (typeof tag !== "string" || tag === "") throw invalid(`${name} has no tag`);
  if (typeof when !== "number" || !Number.isSafeInteger(when)) throw invalid(`${tag} has no time`);
  if (typeof sql !== "string") throw invalid(`${tag} has no SQL text`);
  if (hash !== createHash("sha256").update(sql).digest("hex")) {
    throw invalid(`the text of ${tag} does not match its hash`);
  }
  if (!Array.isArray(statements)) throw invalid(`${tag} has no list of statements`);
  const migration = {
    tag,
    name: migrationName(layout, tag, when),
    when,
    hash,
    sql,
    statements: statements.map((each) => readStatement(each, tag, sql.length)),
    ...readPast(value, tag),
    ...readDirectives(value.directives, tag),
    findings: readFindings(findings, tag),
  };
  refuseDisorder(migration);
  return migration;
}

/** Statements that overlap or change places would run twice or too early, under a hash that is right. */
function refuseDisorder(migration: Migration): void {
  const { tag, statements } = migration;
  const chunks = chunksOf(migration).length;
  const disorder = statements.some(({ start, chunk }, index) => {
    const before = statements[index - 1];
    return chunk >= chunks || start < (before?.end ?? 0) || chunk < (before?.chunk ?? 0);
  });
  if (disorder) throw invalid(`the statements of ${tag} are not in the order of its file`);
}

function readStatement(value: unknown, tag: string, length: number): Statement {
  if (!isRecord(value)) throw invalid(`a statement of ${tag} is not an object`);
  const { start, end, chunk, line, column, digest, kind, mode, effect } = value;
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
  if (!isHex(digest, DIGEST_LENGTH)) throw invalid(`a statement of ${tag} has no digest`);
  if (!isMode(mode)) throw invalid(`a statement of ${tag} has the mode ${quoted(mode)}`);
  return {
    ...{ start, end, chunk, line, column, digest, kind, mode, effect: readEffect(effect, tag) },
    ...readWhy(value.why, mode, tag),
    ...readTouches(value.touches, tag),
    ...readDirectives(value.directives, tag),
  };
}

function readPast(
  { sameAs, lineEndsMatter }: Record<string, unknown>,
  tag: string,
): Pick<Migration, "sameAs" | "lineEndsMatter"> {
  if (lineEndsMatter !== undefined && lineEndsMatter !== true) {
    throw invalid(`its word on the line ends of ${tag} is not known`);
  }
  const isSound = Array.isArray(sameAs) && sameAs.every((hash) => isHex(hash, 64));
  if (sameAs !== undefined && !isSound) throw invalid(`an earlier version of ${tag} has no hash`);
  return {
    ...(isSound ? { sameAs } : {}),
    ...(lineEndsMatter === undefined ? {} : { lineEndsMatter }),
  };
}

function isHex(value: unknown, length: number): value is string {
  return typeof value === "string" && value.length === length && /^[0-9a-f]+$/.test(value);
}

function readWhy(value: unknown, mode: StatementMode, tag: string): Pick<Statement, "why"> {
  if (mode !== "alone" && value === undefined) return {};
  const why = ALONE_REASONS.find((each) => each === value);
  if (mode === "alone" && why !== undefined) return { why };
  throw invalid(`a statement of ${tag} does not say why it stands alone`);
}

function readTouches(value: unknown, tag: string): Pick<Statement, "touches"> {
  if (value === undefined) return {};
  if (Array.isArray(value) && value.every(isTouched)) return { touches: value };
  throw invalid(`a statement of ${tag} touches what this migrator does not know`);
}

function isTouched(value: unknown): value is Touched {
  if (!isRecord(value) || !isName(value) || !isText(value.kind)) return false;
  return value.lock === undefined || LOCK_MODES.some((mode) => mode === value.lock);
}

/** What a directive of each name may be. */
const DIRECTIVES: Readonly<Record<string, (value: unknown) => boolean>> = {
  noTransaction: (value) => value === true,
  lockTimeoutMs: (value) => isCount(value) && value > 0,
  allow: (value) => Array.isArray(value) && value.every((rule) => RULE_IDS.includes(rule)),
};

function readDirectives(value: unknown, tag: string): { readonly directives?: FileDirectives } {
  if (value === undefined) return {};
  const isSound =
    isRecord(value) &&
    Object.entries(value).every(
      ([name, said]) => Object.hasOwn(DIRECTIVES, name) && DIRECTIVES[name]?.(said) === true,
    );
  if (!isSound) throw invalid(`a directive of ${tag} is not known to this migrator`);
  // Every name and every value was looked at just now.
  return { directives: value as FileDirectives };
}

function readFindings(value: unknown, tag: string): readonly Finding[] {
  if (Array.isArray(value) && value.every(isFinding)) return value;
  throw invalid(`the findings of ${tag} cannot be read`);
}

function isMode(value: unknown): value is StatementMode {
  return STATEMENT_MODES.some((mode) => mode === value);
}

const isText = (value: unknown): boolean => typeof value === "string";
const isName = (value: unknown): boolean =>
  isRecord(value) && isText(value.name) && (value.schema === null || isText(value.schema));

/** What each kind of effect must have beside its kind. */
const EFFECTS: Readonly<Record<string, Readonly<Record<string, (value: unknown) => boolean>>>> = {
  "builds-index": { table: isName, index: (value) => value === null || isText(value) },
  "drops-indexes": { indexes: (value) => Array.isArray(value) && value.every(isName) },
  detaches: { table: isName, partition: isName },
  creates: { object: isText, name: isText },
  drops: { object: isText, name: isText },
  repeatable: {},
  "rebuilds-indexes": { of: (value) => value === null || isName(value) },
  unknown: {},
  "adds-enum-value": { type: isName, value: isText },
  "creates-type": { type: isName },
  sets: {},
};

function readEffect(value: unknown, tag: string): Effect | null {
  if (value === null) return null;
  const kind = isRecord(value) && typeof value.kind === "string" ? value.kind : "";
  const fields = Object.hasOwn(EFFECTS, kind) ? EFFECTS[kind] : undefined;
  if (!isRecord(value) || fields === undefined) {
    throw invalid(`a statement of ${tag} has an effect that this migrator does not know`);
  }
  for (const [field, isValid] of Object.entries(fields)) {
    if (!isValid(value[field])) throw invalid(`a statement of ${tag} has no ${field}`);
  }
  // Every field of this kind was looked at just now.
  return value as unknown as Effect;
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
