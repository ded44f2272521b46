import type { Layout } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import type { Warning } from "../errors.ts";
import { createGrants } from "../ledger/denied.ts";
import type { Home, Ledger } from "../ledger/ledger.ts";
import { FALLBACK_SCHEMA, historyPlace, quotePlace } from "../ledger/place.ts";
import { postgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { createHistory, type Entry, historyInsert, type RunOrigin } from "./entry.ts";

/** The history that a run keeps. */
export interface HistoryOptions {
  readonly origin: RunOrigin;
  /** The setting; undefined where nobody has set it. */
  readonly wanted: boolean | undefined;
  /** The layout of the folder. */
  readonly layout: Layout;
}

/**
 * Keeps the history of a run: makes the statements that stand behind its ledger rows, for others to send. It never stands in
 * the way of a run. Where a row cannot be written the run goes on without, and says so once.
 */
export interface HistoryKeeper {
  /** Returns the statement that writes the row of a migration; null where no history is kept in this place. */
  entry(place: LedgerPlace, entry: Omit<Entry, "role" | "kind">): Sending | null;
  /** Returns the statement that creates the table ahead of the first row; null where it exists. */
  creation(place: LedgerPlace): Sending | null;
  /** Returns a name for a text that the server shall parse once. No other of this session has it. */
  nextName(): string;
  /** Rows are committed. */
  kept(): void;
  /** The server has refused a row, or the table: from here on none is written. */
  refused(cause: unknown): void;
  /** Returns the warnings since the last call. */
  warnings(): readonly Warning[];
}

/** The treatment of a history: it is written, or created and written; or not, by choice or for want of a right. */
type Treatment = "write" | "create" | "none" | "denied";

/**
 * Says how the history beside a ledger is treated. Where nobody has set it, a history is kept in a schema of the ledger's own, and
 * not in `public` or among the tables of others. It is not begun where Drizzle 1.0 is used: its `drizzle-kit push` looks
 * into every schema, and proposes to drop one that has another table than the ledger.
 * @param home the place of the ledger, as it was before the run
 */
export function treatmentOf(
  home: Home,
  { wanted, layout }: Pick<HistoryOptions, "wanted" | "layout">,
  format: Layout,
): Treatment {
  if (wanted === false) return "none";
  if (wanted === undefined && home.schema === FALLBACK_SCHEMA) return "none";
  if (home.history === "open") return "write";
  if (home.history === "closed") return "denied";
  const isSeen = home.history === "shared" || layout === "1.0" || format === "1.0";
  if (wanted === undefined && isSeen) return "none";
  return home.mayCreateTable || !home.schemaExists ? "create" : "denied";
}

/** Number of names so far. It counts for the whole process: a session can have more than one keeper, one for each executor. */
let names = 0;

/** Makes the keeper of a run's history. */
export function createKeeper(
  { homes, format }: Pick<Ledger, "homes" | "format">,
  role: string,
  options: HistoryOptions,
): HistoryKeeper {
  const told: Warning[] = [];
  let exists = false;
  let stopped = false;

  function treatment(place: LedgerPlace): Treatment {
    const home = homes.find(({ schema }) => schema === place.schema);
    if (stopped || home === undefined) return "none";
    const wanted = treatmentOf(home, options, format);
    return wanted === "create" && exists ? "write" : wanted;
  }

  function stop(place: LedgerPlace, cause: unknown): void {
    stopped = true;
    told.push(unkept(place, homes, role, cause));
  }

  let last: LedgerPlace | null = null;
  return {
    entry(place, entry) {
      last = place;
      const how = treatment(place);
      if (how === "denied") stop(place, null);
      if (how !== "write" && how !== "create") return null;
      return historyInsert(place, options.origin, { ...entry, kind: "applied", role });
    },
    creation: (place) => (treatment(place) === "create" ? { text: createHistory(place) } : null),
    nextName() {
      names += 1;
      return `neon_lambda_migrator_history_${names}`;
    },
    kept() {
      exists = true;
    },
    refused(cause) {
      if (last !== null) stop(last, cause);
    },
    warnings: () => told.splice(0),
  };
}

/** Makes the warning of a run that goes on without its history. @param cause null where the catalog denies a right */
function unkept(place: LedgerPlace, homes: readonly Home[], role: string, cause: unknown): Warning {
  const history = quotePlace(historyPlace(place));
  const server = postgresFacts(cause);
  const words = server === null ? "" : `: ${server.message} (${server.sqlstate})`;
  const home = homes.find(({ schema }) => schema === place.schema);
  const grant =
    home === undefined || server !== null ? "" : ` As its owner: ${grantFor(home, history, role)}`;
  return {
    code: "HISTORY_UNWRITTEN",
    message: `The role ${quoteIdentifier(role)} could not write the history ${history}${words}. Everything else was done: the ledger has its rows, and the history lacks them.${grant} LEDGER_HISTORY=off keeps none.`,
  };
}

function grantFor(home: Home, history: string, role: string): string {
  return home.history === null
    ? createGrants(home, role)
    : `grant select, insert on ${history} to ${quoteIdentifier(role)};`;
}
