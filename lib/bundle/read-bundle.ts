import { createHash } from "node:crypto";
import { MigratorError } from "../errors.ts";
import { isCount, isRecord } from "../json.ts";
import { LOCK_MODES } from "../postgres/locks.ts";
import { quoted } from "../text.ts";
import {
  type Bundle,
  chunksOf,
  DIGEST_LENGTH,
  type Effect,
  type FileDirectives,
  type Layout,
  type Migration,
  migrationName,
  type NewValue,
  STATEMENT_MODES,
  type Statement,
  type StatementMode,
  type StatementRef,
  type Touched,
} from "./bundle.ts";
import type { Finding } from "./finding.ts";
import type { FolderWarning } from "./folder-warning.ts";
import { bundleHash, contentHash } from "./hash.ts";
import { fieldsOf, isFinding, isName, isText, type Test } from "./read-finding.ts";
import { RULE_IDS } from "./rule-ids.ts";

/**
 * Reads a whole bundle, as `compileBundle` returns it, and refuses a damaged one. That of an asset is in two files, which
 * `openBundle` reads.
 * @param value the parsed JSON
 * @throws MigratorError `BUNDLE_INVALID`, which names the first defect
 */
export function readBundle(value: unknown): Bundle {
  if (!isRecord(value)) throw invalid("it is not a JSON object");
  if (value.bundleVersion === 2) {
    throw new MigratorError(
      "BUNDLE_INVALID",
      'This is the first of the two files of an asset\'s bundle, and not a whole bundle. Read both by the path of this one: openBundle("bundle.json").',
    );
  }
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
  const content = readContentHash(value.contentHash, value.migrations);
  const warnings = readWarnings(value.warnings);
  return { bundleVersion: 1, layout, hash, ...content, migrations, warnings };
}

/** A bundle of an earlier version has no such hash. It is read as before. */
function readContentHash(
  contentHash: unknown,
  migrations: readonly object[],
): Pick<Bundle, "contentHash"> {
  if (contentHash === undefined) return {};
  const content = hashOrNull(migrations);
  if (content !== null && contentHash === content) return { contentHash: content };
  throw invalid("it was edited after it was compiled");
}

/** Returns null for a value that nests too deep to be written as JSON. No compiler made it. */
function hashOrNull(migrations: readonly object[]): string | null {
  try {
    return contentHash(migrations);
  } catch {
    return null;
  }
}

/**
 * Reads one migration of a bundle.
 * @param index from 0, for the error where it has no tag
 * @throws MigratorError `BUNDLE_INVALID`
 */
export function readMigration(value: unknown, index: number, layout: Layout): Migration {
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

/**
 * Refuses statements that overlap or change places: they would run twice or too early, under a hash that is right.
 */
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
    ...readTouches(value.touches, tag),
    ...readDirectives(value.directives, tag),
    ...readNewValues(value.newValues, tag),
  };
}

function readNewValues(value: unknown, tag: string): Pick<Statement, "newValues"> {
  if (value === undefined) return {};
  if (Array.isArray(value) && value.every(isNewValue)) return { newValues: value };
  throw invalid(`a statement of ${tag} uses enum values that this migrator does not know`);
}

function isNewValue(value: unknown): value is NewValue {
  if (!isRecord(value)) return false;
  return isStatementRef(value.added) && (value.created === null || isStatementRef(value.created));
}

function isStatementRef(value: unknown): value is StatementRef {
  return isRecord(value) && isText(value.tag) && isCount(value.index);
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

function readTouches(value: unknown, tag: string): Pick<Statement, "touches"> {
  if (value === undefined) return {};
  if (Array.isArray(value) && value.every(isTouched)) return { touches: value };
  throw invalid(`a statement of ${tag} touches what this migrator does not know`);
}

function isTouched(value: unknown): value is Touched {
  if (!isRecord(value) || !isName(value) || !isText(value.kind)) return false;
  return value.lock === undefined || LOCK_MODES.some((mode) => mode === value.lock);
}

/** The check of each directive's value. */
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
  // The check above has looked at every name and every value.
  return { directives: value as FileDirectives };
}

function readFindings(value: unknown, tag: string): readonly Finding[] {
  if (Array.isArray(value) && value.every(isFinding)) return value;
  throw invalid(`the findings of ${tag} cannot be read`);
}

function isMode(value: unknown): value is StatementMode {
  return STATEMENT_MODES.some((mode) => mode === value);
}

/** The fields that each kind of effect must have beside its kind. */
const EFFECTS: Readonly<Record<string, Readonly<Record<string, Test>>>> = {
  "builds-index": {
    table: isName,
    index: (value) => value === null || isText(value),
    unique: (value) => value === undefined || typeof value === "boolean",
    from: (value) => value === undefined || isCount(value),
  },
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
  const fields = fieldsOf(EFFECTS, value);
  if (!isRecord(value) || fields === undefined) {
    throw invalid(`a statement of ${tag} has an effect that this migrator does not know`);
  }
  for (const [field, isValid] of Object.entries(fields)) {
    if (!isValid(value[field])) throw invalid(`a statement of ${tag} has no ${field}`);
  }
  // The loop above has looked at every field of this kind.
  return value as unknown as Effect;
}

/** Nothing about warnings makes a bundle invalid: they say nothing about what is applied. */
export function readWarnings(value: unknown): readonly FolderWarning[] {
  return Array.isArray(value) ? value.flatMap(readWarning) : [];
}

function readWarning(value: unknown): readonly FolderWarning[] {
  if (!isRecord(value)) return [];
  const { code, message, settledBy } = value;
  if (typeof code !== "string" || typeof message !== "string") return [];
  const isSettled = Array.isArray(settledBy) && settledBy.length > 0 && settledBy.every(isText);
  return [{ code, message, ...(isSettled ? { settledBy } : {}) }];
}

/** Makes the error for a bundle that cannot be used. @param reason a clause */
export function invalid(reason: string, cause?: unknown): MigratorError {
  return new MigratorError(
    "BUNDLE_INVALID",
    `The bundle cannot be used: ${reason}. Compile it again with "neon-migrate bundle".`,
    { cause },
  );
}
