import type { Migration } from "../bundle/bundle.ts";
import { type ErrorFacts, MigratorError } from "../errors.ts";
import { INSUFFICIENT_PRIVILEGE, type PostgresFacts, postgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { checkpointPlace } from "./checkpoints.ts";
import { changeGrant, createGrants, deniedWrite } from "./denied.ts";
import { explainGuard } from "./guard.ts";
import type { Home, Ledger } from "./ledger.ts";
import { quotePlace } from "./place.ts";

/*
 * Refused: the errors for a statement of our own bookkeeping that the server has refused. Only a run that writes loads
 * them.
 */

/** A refusal of our own bookkeeping: writing the ledger, or the table of checkpoints beside it. */
interface Refused {
  readonly ledger: Ledger;
  readonly role: string;
  readonly kind: string;
  /** The place of the ledger that the transaction writes. */
  readonly place: LedgerPlace;
  /** The migrations whose rows it writes. */
  readonly written: readonly Migration[];
}

/**
 * Turns a refusal of our own bookkeeping into an error that says what is missing. Leaves every other error as it is.
 */
export function explainLedgerError(thrown: unknown, refused: Refused): unknown {
  const { ledger, role, kind, place, written } = refused;
  if (kind === "guard") return explainGuard(thrown, place, written);
  const server = postgresFacts(thrown);
  if (server === null) return thrown;
  if (kind === "ledger-row" && server.sqlstate === UNIQUE_VIOLATION) {
    return behindItsRows(place, server, thrown);
  }
  if (server.sqlstate !== INSUFFICIENT_PRIVILEGE) return thrown;
  const home = ledger.homes.find(({ schema }) => schema === place.schema);
  if (kind !== "checkpoint" && home?.tableExists && !(home.mayInsert && home.mayCount)) {
    return deniedWrite(ledger, role, thrown);
  }
  const mayCheckpoint = home?.checkpointsExist ? home.mayWriteCheckpoints : home?.mayCreateTable;
  return kind === "checkpoint" && home !== undefined && mayCheckpoint !== true
    ? deniedCheckpoints(home, role, server, thrown)
    : refusedByOthers(place, role, server, thrown);
}

/** The ids of a ledger are unique: its sequence has given one that a row has already. */
const UNIQUE_VIOLATION = "23505";

/** Sequences are not replicated, and a copy of the rows leaves them behind. */
function behindItsRows(place: LedgerPlace, server: PostgresFacts, cause: unknown): unknown {
  if (server.detail?.includes("(id)=(") !== true) return cause;
  const ledger = quotePlace(place);
  return new MigratorError(
    "LEDGER_UNWRITABLE",
    `The sequence that gives the rows of the ledger ${ledger} their ids is behind the rows: ${server.message} (${server.sqlstate}). Sequences are not replicated. The transaction is rolled back. As the ledger's owner: select setval(pg_get_serial_sequence(${quoteLiteral(ledger)}, 'id'), (select max(id) from ${ledger})); then run again.`,
    { cause, ...wordsOf(server) },
  );
}

/** Makes the error for a refusal where the catalog says that our role has every right. */
function refusedByOthers(
  place: LedgerPlace,
  role: string,
  server: PostgresFacts,
  cause: unknown,
): MigratorError {
  return new MigratorError(
    "LEDGER_UNWRITABLE",
    `The ledger ${quotePlace(place)} could not be prepared or written: ${server.message} (${server.sqlstate}). By the catalog the role ${quoteIdentifier(role)} has the rights that this takes, so something else refused it: an event trigger, a trigger, or a row-level security policy. The transaction is rolled back.`,
    { cause, ...wordsOf(server) },
  );
}

/** PostgreSQL's own words, for the facts of an error. */
function wordsOf({ sqlstate, detail, hint, where }: PostgresFacts): ErrorFacts {
  return {
    sqlstate,
    ...(detail === null ? {} : { detail }),
    ...(hint === null ? {} : { hint }),
    ...(where === null ? {} : { where }),
  };
}

/**
 * Makes the error for a role that may not write checkpoints. Only migrations that cannot be rolled back need them, so
 * a role may do without this right until then.
 */
function deniedCheckpoints(
  home: Home,
  role: string,
  server: PostgresFacts,
  cause: unknown,
): MigratorError {
  const checkpoints = checkpointPlace(home);
  const grant = home.checkpointsExist ? changeGrant(checkpoints, role) : createGrants(home, role);
  return new MigratorError(
    "LEDGER_DENIED",
    `The pending migrations cannot be rolled back as a whole, so their progress is kept in ${quotePlace(checkpoints)}, and the role ${quoteIdentifier(role)} may not write there: ${server.message} (${server.sqlstate}). As its owner: ${grant}`,
    { cause, ...wordsOf(server) },
  );
}
