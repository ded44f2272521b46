import { type Effect, type Migration, type Statement, statementText } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import { MigratorError, toError, type Warning } from "../errors.ts";
import type { Checkpoint } from "../ledger/checkpoints.ts";
import { postgresFacts } from "../postgres/errors.ts";
import { type ObjectName, quoteName } from "../postgres/names.ts";
import { dropBrokenTwins, dropInvalid, indexesOf } from "./invalid-indexes.ts";
import { setsLockTimeout } from "./session-reset.ts";
import { migrationFailed } from "./statement-errors.ts";

/** A statement that no transaction can hold, with the facts about earlier tries. */
export interface Alone {
  readonly connection: Connection;
  readonly migration: Migration;
  /** Index, from 0, of the statement in its migration. */
  readonly index: number;
  /** Longest wait for a lock, in ms, of a statement that others would queue behind. */
  readonly lockTimeoutMs: number;
  /** The checkpoint of a run that began this very statement and never recorded its end; null without such a run. */
  readonly interrupted: Checkpoint | null;
  /** Records that the statement is about to be sent. */
  announce(indexesBefore: readonly number[] | null): Promise<void>;
  /** Takes that record back, because the server has refused the statement. */
  withdraw(): Promise<void>;
}

interface Ran {
  readonly warnings: readonly Warning[];
  readonly durationMs: number;
}

/** The catalog's verdict on an interrupted statement: it is `done`, or a run must `run` it. */
type Outcome = "done" | "run";

/**
 * Runs a statement that stands alone. If an earlier run was interrupted in it, the catalog says whether it happened.
 * An INVALID index that a failed build has left is dropped before it is built again.
 * @throws MigratorError `MIGRATION_FAILED`, or `STEP_IN_DOUBT` where the catalog cannot tell
 */
export async function runAlone(alone: Alone): Promise<Ran> {
  const { connection, migration, index, interrupted } = alone;
  const statement = migration.statements[index];
  if (statement === undefined) throw new Error(`${migration.tag} has no statement ${index}.`);
  const started = performance.now();
  const warnings: Warning[] = [];
  const effect = effectOf(statement.effect, statement.kind);
  connection.turnTo({ migration: migration.tag, index });
  try {
    const outcome = await settle(alone, effect, warnings);
    if (outcome === "done") warnings.push(foundDone(alone));
    else {
      if (interrupted === null) await alone.announce(await indexesBefore(connection, effect));
      await send(alone, statement, effect);
    }
  } catch (thrown) {
    throw migrationFailed(thrown, migration, index);
  } finally {
    connection.turnTo(null);
  }
  return { warnings, durationMs: performance.now() - started };
}

/** Fills in the effect of a statement that only the server knew to stand alone: the bundle records none. */
function effectOf(effect: Effect | null, kind: string): Effect {
  return effect ?? { kind: kind === "ReindexStmt" ? "repeatable" : "unknown" };
}

/** Effects of statements that nobody queues behind while they wait. They may take their time. */
const UNHURRIED: readonly Effect["kind"][] = [
  "builds-index",
  "drops-indexes",
  "rebuilds-indexes",
  "detaches",
];

/**
 * Sends the statement. Any but the unhurried gets the same bounded wait as a transaction. A directive of its own
 * bounds any statement.
 */
async function send(alone: Alone, statement: Statement, effect: Effect): Promise<void> {
  const { connection, lockTimeoutMs, migration, index } = alone;
  const text = statementText(migration, statement);
  const mayWait = UNHURRIED.includes(effect.kind) || setsLockTimeout(migration, index);
  if (mayWait && statement.directives?.lockTimeoutMs === undefined) {
    await sendAsIs(alone, text, effect);
    return;
  }
  await connection.query(`set lock_timeout = ${lockTimeoutMs}`);
  try {
    await sendAsIs(alone, text, effect);
  } finally {
    await connection.cleanUp("reset lock_timeout").catch(() => undefined);
  }
}

async function sendAsIs(alone: Alone, text: string, effect: Effect): Promise<void> {
  try {
    await alone.connection.query(text);
  } catch (thrown) {
    const refused = effect.kind === "unknown" && postgresFacts(thrown) !== null;
    throw refused ? await withdrawn(alone, thrown) : thrown;
  }
}

/**
 * Withdraws the announcement of a refused statement. Returns the server's refusal as the error to report, even if the
 * announcement stays.
 */
async function withdrawn(alone: Alone, refusal: unknown): Promise<unknown> {
  try {
    await alone.withdraw();
    return refusal;
  } catch (thrown) {
    const { migration, index } = alone;
    const error = toError(migrationFailed(refusal, migration, index));
    if (!(error instanceof MigratorError)) return error;
    const stays = `That it was begun could not be taken back (${toError(thrown).message}), so the next run may be in doubt of it: "neon-migrate repair --resolve ${migration.tag} --as undone".`;
    return new MigratorError(error.code, `${error.message} ${stays}`, error.facts);
  }
}

async function settle(alone: Alone, effect: Effect, warnings: Warning[]): Promise<Outcome> {
  if (effect.kind === "builds-index") return await settleIndex(alone, effect, warnings);
  if (alone.interrupted === null) return "run";
  switch (effect.kind) {
    case "drops-indexes":
      return (await anyExists(alone.connection, effect.indexes)) ? "run" : "done";
    case "rebuilds-indexes":
      warnings.push(...(await dropBrokenTwins(alone.connection, effect.of, alone.migration)));
      return "run";
    case "detaches":
      return await settleDetach(alone.connection, effect);
    case "creates":
    case "drops":
      return (await objectExists(alone.connection, effect)) === (effect.kind === "creates")
        ? "done"
        : "run";
    case "unknown":
      throw inDoubt(alone);
    default:
      return "run";
  }
}

/**
 * Returns the ids of the indexes that the table has before the build: they tell a new index without a name apart.
 * Null for any other statement.
 */
async function indexesBefore(
  connection: Connection,
  effect: Effect,
): Promise<readonly number[] | null> {
  if (effect.kind !== "builds-index" || effect.index !== null) return null;
  return (await indexesOf(connection, effect.table)).map(({ id }) => id);
}

async function anyExists(connection: Connection, names: readonly ObjectName[]): Promise<boolean> {
  for (const name of names) {
    const [row] = await connection.query<{ found: boolean }>(
      `select to_regclass($1) is not null as "found"`,
      [quoteName(name)],
    );
    if (row?.found === true) return true;
  }
  return false;
}

async function settleIndex(
  { connection, interrupted, migration }: Alone,
  effect: Effect & { readonly kind: "builds-index" },
  warnings: Warning[],
): Promise<Outcome> {
  // Only after an interrupted build can an index without a name of its own be told from other people's indexes.
  if (effect.index === null && interrupted === null) return "run";
  const before = new Set(interrupted?.before ?? []);
  const found = (await indexesOf(connection, effect.table)).filter(({ id, name }) =>
    effect.index === null ? !before.has(id) : name === effect.index,
  );
  const dropped = await dropInvalid(connection, found, migration);
  warnings.push(...dropped);
  if (dropped.length > 0) return "run";
  return interrupted !== null && found.some(({ valid }) => valid) ? "done" : "run";
}

/**
 * Finds out how far a DETACH … CONCURRENTLY came, which commits half way. FINALIZE is PostgreSQL's own way to end it.
 */
async function settleDetach(
  connection: Connection,
  { table, partition }: Effect & { readonly kind: "detaches" },
): Promise<Outcome> {
  const [link] = await connection.query<{ pending: boolean }>(
    `select inhdetachpending as "pending" from pg_catalog.pg_inherits
     where inhrelid = to_regclass($1) and inhparent = to_regclass($2)`,
    [quoteName(partition), quoteName(table)],
  );
  if (link === undefined) return "done";
  if (!link.pending) return "run";
  await connection.query(
    `alter table ${quoteName(table)} detach partition ${quoteName(partition)} finalize`,
  );
  return "done";
}

const CATALOGS = {
  database: "select from pg_catalog.pg_database where datname = $1",
  tablespace: "select from pg_catalog.pg_tablespace where spcname = $1",
  subscription: "select from pg_catalog.pg_subscription where subname = $1",
};

async function objectExists(
  connection: Connection,
  { object, name }: Effect & { readonly kind: "creates" | "drops" },
): Promise<boolean> {
  return (await connection.query(CATALOGS[object], [name])).length > 0;
}

function foundDone({ migration, index }: Alone): Warning {
  return {
    code: "STEP_FOUND_DONE",
    message: `An earlier run was cut off in statement ${index + 1} of ${migration.tag}; the database shows that it had been done, and it was not repeated.`,
  };
}

function inDoubt({ migration, index }: Alone): MigratorError {
  const { tag } = migration;
  return new MigratorError(
    "STEP_IN_DOUBT",
    `An earlier run was cut off in statement ${index + 1} of ${tag}, which runs outside a transaction, and nothing in the database tells whether it has happened. Look, and then say so: "neon-migrate repair --resolve ${tag} --as done" or "--as undone".`,
    { migration: tag },
  );
}
