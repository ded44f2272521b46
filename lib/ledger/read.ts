import type { Bundle } from "../bundle/bundle.ts";
import { NO_NAMES, overviewOf } from "../bundle/overview.ts";
import type { Rows } from "../connection/connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { type Checkpoint, checkpointPlace } from "./checkpoints.ts";
import { deniedRead, foreign, hiddenRows, notAdopted } from "./denied.ts";
import { begunBy, type Explaining, explainedRows, identified } from "./explain.ts";
import { chooseHome, isWritten } from "./home.ts";
import type { FoundLedger, Home, Ledger, LedgerRow } from "./ledger.ts";
import { quotePlace } from "./place.ts";
import type { Answer } from "./question.ts";

/** The columns of every version of Drizzle's table. */
const REQUIRED_COLUMNS = ["id", "hash", "created_at"];

/** A row of a table whose columns are not known beforehand. */
type Row = Rows[number];

/** Every place that was looked at, and the ledgers that were found there. */
export interface Places {
  /** The configured place first. */
  readonly homes: readonly Home[];
  readonly found: readonly FoundLedger[];
  /** Whether there is no ledger in the configured place, and no other table in the database. */
  readonly isBlank: boolean;
  /** A table in the fallback place that was not taken for the ledger. */
  readonly warnings: readonly Warning[];
}

/** The bundle that explains the rows. */
type Known = Explaining & Pick<Bundle, "layout" | "overview">;

/** The answer for one place, as far as it was read. */
interface Reading {
  readonly answer: Answer;
  readonly rows: readonly Row[];
  readonly home: Home;
}

/**
 * Reads the answer to `ledgerQuestion`. The configured place is the ledger, or an error. `public` is a fallback of ours
 * and not a place to adopt what lies there: a ledger in it counts only if it explains a migration of the bundle, or if
 * it is empty and our own.
 * @param role for the GRANTs in an error
 * @throws MigratorError `LEDGER_DENIED`, `LEDGER_UNKNOWN_FORMAT`, `LEDGER_FOREIGN`
 */
export function readPlaces(rows: Rows, role: string, bundle: Known): Places {
  // `ledgerQuestion` made these rows; their shape is ours.
  const answers = rows as unknown as readonly Answer[];
  const [configured, fallback] = answers.map((answer): Reading => {
    const rows = answer.mayRead === true ? jsonIn(answer.ledger) : [];
    return { answer, rows, home: homeOf(answer, Object.keys(rows[0] ?? {})) };
  });
  if (configured === undefined) throw new Error("The question for the ledger was not answered.");
  const first = configured.home.tableExists ? foundAt(configured, role, bundle) : null;
  const homes = [configured.home];
  const found = first === null ? [] : [first];
  const isBlank = field(configured.answer.ledger, "blank") === "true";
  if (fallback === undefined) return { homes, found, isBlank, warnings: [] };
  homes.push(fallback.home);
  const isFirstWritten = first !== null && isWritten(first);
  const second = adopt(fallback, role, bundle, isFirstWritten);
  if (second !== null) found.push(second);
  const ignored = second === null && fallback.home.tableExists && !isFirstWritten;
  // Two ledgers are compared by their rows.
  const isSplit = found.length > 1 && found.every(isWritten);
  return {
    ...{ homes, isBlank },
    found: isSplit ? found.map((each) => withRows(each, bundle)) : found,
    warnings: ignored ? [notAdopted(fallback.home)] : [],
  };
}

/** Returns a complete ledger with the rows that it has. Their ids are not known, and 0. */
function withRows(found: FoundLedger, { migrations }: Known): FoundLedger {
  if (found.isComplete !== true) return found;
  const isNamed = found.home.columns.includes("name");
  const rows = migrations.map(({ hash, when, name }) => ({
    ...{ id: 0, hash, when },
    name: isNamed ? name : null,
  }));
  return { ...found, rows, isComplete: false };
}

/** Whether the table in the fallback place can be a ledger of ours at all. */
function isCandidate(home: Home): boolean {
  const areForeign = home.checkpointsExist && !home.checkpointsBelieved;
  return home.tableExists && home.believed && !areForeign && missingColumns(home).length === 0;
}

/** Returns the ledger in the fallback place; null where the table there is not ours. */
function adopt(
  reading: Reading,
  role: string,
  bundle: Known,
  isFirstWritten: boolean,
): FoundLedger | null {
  const { home, answer } = reading;
  const isClosed = answer.open === false || (home.believed && !home.mayRead);
  // Nobody can tell whose rows these are. With a ledger in the configured place nobody needs to.
  if (home.tableExists && isClosed && !isFirstWritten) throw deniedRead(home, role);
  if (isClosed || !isCandidate(home)) return null;
  const found = foundAt(reading, role, bundle);
  if (found.isComplete === true) return found;
  if (!isWritten(found)) return home.ours ? found : null;
  const explained = explainedRows(found.rows, bundle);
  const begun = found.checkpoints.some((each) => begunBy(each, bundle) !== undefined);
  return explained.length > 0 || begun ? { ...found, explained } : null;
}

/**
 * Reads the answer to `ledgerQuestion`, and chooses the ledger that counts.
 * @param bundle explains the rows; its layout is the format of a ledger that does not exist yet
 * @throws MigratorError as `readPlaces`, and `LEDGER_SPLIT`
 */
export function readLedger(rows: Rows, role: string, bundle: Known): Ledger {
  const { homes, found, isBlank, warnings } = readPlaces(rows, role, bundle);
  const ledger = identified(chooseHome(homes, found, bundle.layout), bundle);
  return { ...ledger, isBlank, warnings: [...warnings, ...ledger.warnings] };
}

function homeOf(answer: Answer, columns: readonly string[]): Home {
  const { schema, table, schemaExists, mayCreateSchema, open } = answer;
  const hidden = (what: boolean): boolean =>
    open === false && answer.ledger?.includes(`>${what}<`) === true;
  return {
    schema,
    table,
    schemaExists,
    mayUse: open === true,
    tableExists: answer.tableExists || hidden(true),
    mayCreateSchema,
    mayCreateTable: open === true && answer.mayCreateTable === true,
    mayRead: answer.mayRead === true,
    mayInsert: answer.mayInsert === true,
    mayCount: answer.mayCount !== false,
    mayLock: answer.mayLock === true,
    columns,
    ours: field(answer.ledger, "ours") === "true",
    believed: field(answer.ledger, "ours") !== null,
    checkpointsExist: answer.checkpointsExist || hidden(false),
    checkpointsBelieved: field(answer.checkpoints, "ours") !== null,
    mayReadCheckpoints: answer.mayReadCheckpoints === true,
    mayWriteCheckpoints: answer.mayWriteCheckpoints === true,
    history: answer.history,
  };
}

function foundAt({ home, rows, answer }: Reading, role: string, bundle: Known): FoundLedger {
  const { ledger, checkpoints, policed } = answer;
  const isHidden = answer.open === false;
  if (!isHidden && !home.believed) throw foreign(home, field(ledger, "stranger"), role);
  if (!isHidden && home.checkpointsExist && !home.checkpointsBelieved) {
    throw foreign(checkpointPlace(home), field(checkpoints, "stranger"), role);
  }
  if (!home.mayRead || (home.checkpointsExist && !home.mayReadCheckpoints)) {
    throw deniedRead(home, role);
  }
  const missing = missingColumns(home);
  if (missing.length > 0) throw unknownFormat(home, `it has no column ${missing.join(", ")}`);
  const written = rows.filter((row) => Object.values(row).some((value) => value !== null));
  if (policed === true && written.length === 0) throw hiddenRows(home, role);
  const isComplete = isKnown(home, field(ledger, "digest"), bundle);
  const read = isComplete ? [] : written.map((row) => ledgerRow(home, row));
  const found = {
    ...{ home, isComplete },
    rows: read.toSorted((one, other) => one.id - other.id),
    // Our own table, written by `checkpointUpsert`.
    checkpoints: jsonIn(checkpoints)
      .filter(({ tag }) => tag !== null)
      .map(withoutList) as unknown as Checkpoint[],
  };
  // Only the migrations tell of which one a checkpoint is.
  return found.checkpoints.length === 0 ? found : withRows(found, bundle);
}

/** Whether the digest is that of a ledger with a row for each migration. Then it came with one of them, for the columns. */
function isKnown(home: Home, digest: string | null, bundle: Known): boolean {
  const { complete } = overviewOf(bundle);
  const isNamed = home.columns.includes("name");
  if (digest === null || !Object.values(complete).includes(digest)) return false;
  if (digest === complete[isNamed ? "1.0" : "0.x"]) return true;
  throw unknownFormat(home, `its column name holds "${NO_NAMES}"`);
}

function missingColumns({ columns }: Home): readonly string[] {
  return REQUIRED_COLUMNS.filter((column) => !columns.includes(column));
}

/** Earlier versions wrote a bare list of the indexes that were there before. */
function withoutList(row: Row): Row {
  return Array.isArray(row.before) ? { ...row, before: { there: row.before } } : row;
}

function ledgerRow(
  home: Home,
  { id, hash, created_at: when, name, applied_at: appliedAt }: Row,
): LedgerRow {
  if (!Number.isFinite(Number(id)) || !Number.isFinite(Number(when))) {
    throw unknownFormat(home, "its id or created_at holds no number");
  }
  return {
    id: Number(id),
    hash: String(hash),
    when: when === null ? null : Number(when),
    name: typeof name === "string" ? name : null,
    ...(typeof appliedAt === "string" ? { appliedAt } : {}),
  };
}

function unknownFormat(home: Home, why: string): MigratorError {
  return new MigratorError(
    "LEDGER_UNKNOWN_FORMAT",
    `The table ${quotePlace(home)} is not a Drizzle ledger: ${why}. Set LEDGER_SCHEMA and LEDGER_TABLE to where drizzle.config.ts keeps it.`,
  );
}

const ESCAPED: Readonly<Record<string, string>> = {
  ...{ "&lt;": "<", "&gt;": ">", "&amp;": "&" },
  // A carriage return between the tokens of a `json`: PostgreSQL hands the text on as it was written.
  "&#x0d;": "\r",
};

/** Returns the rows that a statement of ours has made as JSON, without the XML around them. */
export function jsonIn(xml: string | null): readonly Row[] {
  const text = field(xml, "rows");
  return text === null ? [] : JSON.parse(text);
}

/** Returns one column of the answer; null where it has none. The value of a row cannot look like a column. */
function field(xml: string | null, name: string): string | null {
  const [, text] = new RegExp(`<${name}>(.*)</${name}>`, "s").exec(xml ?? "") ?? [];
  return text?.replace(/&(?:lt|gt|amp|#x0d);/g, (escaped) => ESCAPED[escaped] ?? escaped) ?? null;
}
