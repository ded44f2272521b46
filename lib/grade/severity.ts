import type { Finding, Question, Severity } from "../bundle/finding.ts";
import { type ColumnType, isKeptAsItIs, type TypeReference } from "../postgres/types.ts";
import { counted } from "../text.ts";
import type { CatalogAnswer, ColumnFacts, TableFacts } from "./catalog.ts";

/** The severity of a finding in this very database, with the evidence for it. */
interface Grade {
  readonly severity: Severity;
  /** Half a sentence for people: `the table has 12 rows (8 kB)`; null without a word from the database. */
  readonly evidence: string | null;
}

const MEGABYTE = 1024 * 1024;

/** Below this size, a scan or a rewrite takes milliseconds. */
const SMALL_BYTES = MEGABYTE;
/** Below this size, it takes about a second. */
const MEDIUM_BYTES = 100 * MEGABYTE;
/** From this size on, it takes long enough for users to notice. */
const LARGE_BYTES = 1024 * MEGABYTE;

/**
 * Grades a finding by the catalog's answer. Pure.
 * @param answer undefined for a finding that the catalog was not asked about
 */
export function gradeFinding(finding: Finding, answer: CatalogAnswer | undefined): Grade {
  const { severity, asks } = finding;
  if (answer === undefined || asks === null) return { severity, evidence: null };
  switch (asks.kind) {
    case "extension":
      return answer.extensionAvailable === true
        ? { severity: "note", evidence: "this server has the extension" }
        : { severity: "error", evidence: "this server does not have the extension" };
    case "type-change":
      return gradeTypeChange(asks.type, answer, severity);
    case "not-null":
      return gradeNotNull(answer, severity);
    case "volatility":
      return gradeVolatility(answer, severity);
    default:
      return gradeByTable(asks, answer.table, severity);
  }
}

function gradeByTable({ kind }: Question, table: TableFacts | null, severity: Severity): Grade {
  if (table === null) return { severity, evidence: "this database does not have the table yet" };
  const evidence = `${describeTable(table)}${table.partitioned && kind === "scan" ? "; it is partitioned, and only its partitions take indexes CONCURRENTLY" : ""}`;
  if (kind === "loss") return { severity: table.empty ? "note" : severity, evidence };
  if (kind === "use") return { severity: gradeByUse(table, severity), evidence };
  return { severity: gradeBySize(table, severity), evidence };
}

function gradeBySize({ bytes, sessions }: TableFacts, severity: Severity): Severity {
  if (bytes < SMALL_BYTES) return sessions > 0 ? milder(severity, "warning") : "note";
  if (bytes < MEDIUM_BYTES) return milder(severity, "warning");
  return bytes < LARGE_BYTES ? severity : "error";
}

function gradeByUse({ sessions, scans, empty }: TableFacts, severity: Severity): Severity {
  if (sessions > 0) return "error";
  return empty || scans === 0 ? "note" : severity;
}

function milder(severity: Severity, limit: Severity): Severity {
  return severity === "error" ? limit : severity;
}

function gradeTypeChange(
  type: TypeReference,
  { table, column }: CatalogAnswer,
  severity: Severity,
): Grade {
  if (table === null || column === null)
    return gradeByTable({ kind: "scan", index: null }, table, severity);
  const size = describeTable(table);
  if (rewrites(column, type)) {
    const evidence = `its values are ${column.sqlType} and must be converted; ${size}`;
    return { severity: gradeBySize(table, severity), evidence };
  }
  const rebuilt =
    column.indexes > 0 && !isText(column)
      ? `, but ${counted(column.indexes, "index", "indexes")} may be built anew`
      : "";
  const kept: Grade = {
    severity: "note",
    evidence: `its values are ${column.sqlType} and stay as they are${rebuilt}; ${size}`,
  };
  return rebuilt === ""
    ? kept
    : { ...kept, severity: gradeBySize(table, milder(severity, "warning")) };
}

/** Source: ATColumnChangeRequiresRewrite in PostgreSQL 18. */
function rewrites(column: ColumnFacts, type: TypeReference): boolean {
  if (type.computed) return true;
  if (column.binaryCoercible && type.modifiers.length === 0) return false;
  const before = typeOf(column);
  const zones = [before.name, type.name].sort().join();
  // A precision in the new type is a conversion of its own, even an unchanged one.
  if (zones === "timestamp,timestamptz" && column.utc && !type.array)
    return type.modifiers.length > 0;
  if (column.sameType)
    return !isKeptAsItIs(
      { ...before, schema: type.schema, name: type.name, array: type.array },
      type,
    );
  return !(isText(column) && isKeptAsItIs(before, { ...type, schema: null }));
}

const isText = ({ type, typeSchema }: ColumnFacts): boolean =>
  typeSchema === "pg_catalog" && ["text", "varchar"].includes(type);

function typeOf({ type, modifier }: ColumnFacts): ColumnType {
  const array = type.startsWith("_");
  return {
    schema: null,
    name: array ? type.slice(1) : type,
    modifiers: modifiersOf(type, modifier),
    array,
  };
}

/** Returns the numbers in brackets behind a type. The catalog keeps one number for all of them. */
function modifiersOf(type: string, modifier: number): readonly number[] {
  if (modifier < 0) return [];
  const name = type.replace(/^_/, "");
  if (name === "varchar" || name === "bpchar") return [modifier - 4];
  if (name !== "numeric") return [modifier];
  const packed = modifier - 4;
  return [(packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024];
}

function gradeNotNull({ table, column }: CatalogAnswer, severity: Severity): Grade {
  if (column?.notNull === true)
    return { severity: "note", evidence: "the column is NOT NULL already" };
  if (column !== null && column.provenBy !== null) {
    return { severity: "note", evidence: `the validated CHECK ${column.provenBy} proves it` };
  }
  return gradeByTable({ kind: "scan", index: null }, table, severity);
}

function gradeVolatility({ volatile, table }: CatalogAnswer, severity: Severity): Grade {
  if (volatile === null)
    return { severity, evidence: "this database does not have the function yet" };
  if (!volatile) return { severity: "note", evidence: "the function is not volatile" };
  const { severity: bySize, evidence } = gradeByTable(
    { kind: "scan", index: null },
    table,
    "error",
  );
  return { severity: bySize, evidence: `the function is volatile; ${evidence}` };
}

function describeTable({ bytes, empty, rows, sessions, writers, scans }: TableFacts): string {
  const size = empty
    ? "no rows"
    : rows === null || rows === 0
      ? sized(bytes)
      : `about ${counted(Math.round(rows), "row")} (${sized(bytes)})`;
  return `the table has ${size}${used(sessions, writers, scans)}`;
}

function used(sessions: number, writers: number, scans: number | null): string {
  const who = counted(sessions, "session");
  if (writers > 0) return `, used by ${who} now, ${writers} of them writing`;
  if (sessions > 0) return `, read by ${who} now`;
  return scans === 0 ? ", never read since its statistics began" : "";
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

function sized(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power > 1 && value < 100 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}
