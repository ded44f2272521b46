/*
 * Settle: finds out by the catalog what became of a statement outside transactions whose session was lost. What there is
 * is compared with what was wanted, and with what was there before. Nothing that other people made is taken for ours.
 */

import { type Effect, type Migration, type Statement, statementText } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { Before, Checkpoint, WantedIndex } from "../ledger/checkpoints.ts";
import { type ObjectName, quoteName } from "../postgres/names.ts";
import {
  AS_NUMBER,
  awaitBuilders,
  brokenTwins,
  builtTable,
  dropInvalid,
  type IndexFacts,
  indexesOf,
  isWanted,
  leftBy,
  type TableIndexes,
} from "./invalid-indexes.ts";
import type { Lockouts } from "./lockouts.ts";

/** A statement that no transaction can hold, with the facts about earlier tries. */
export interface Alone {
  readonly connection: Connection;
  readonly migration: Migration;
  /** Index, from 0, of the statement in its migration. */
  readonly index: number;
  /** Longest wait for a lock, in ms, of a statement that others would queue behind. */
  readonly lockTimeoutMs: number;
  /** The migration's checkpoint as it stands; null without one. */
  readonly checkpoint: Checkpoint | null;
  readonly lockouts: Lockouts;
  /**
   * Writes the checkpoint before the statement.
   * @param running the statement's index while it is sent; null once the server has refused it
   */
  record(running: number | null, before: Before | null): Promise<void>;
}

/** The verdict on a statement: it is `done`; a run must `run` it, or end what it has begun with another statement. */
export type Outcome = "done" | "run" | { readonly finish: string };

/** An effect of one kind. */
type Of<Kind extends Effect["kind"]> = Extract<Effect, { readonly kind: Kind }>;

/** A statement that is about to be sent, or sent again. */
export interface Unsettled {
  readonly alone: Alone;
  readonly statement: Statement;
  readonly effect: Effect;
  /** The record of a run that began this very statement and never saw its end, maybe empty; null without such a run. */
  readonly interrupted: Before | null;
  /** Longest wait for a lock, in ms; null keeps the session's own setting. */
  readonly boundMs: number | null;
  /** The table of the index that it builds, as `settle` has seen it. */
  readonly seen: { table: TableIndexes | null };
}

/**
 * Says what became of a statement.
 * @param warnings gets one for each leftover that was put in order
 * @throws MigratorError `STEP_IN_DOUBT` where the catalog cannot tell
 */
export async function settle(unsettled: Unsettled, warnings: Warning[]): Promise<Outcome> {
  const { alone, effect, interrupted } = unsettled;
  const { connection, migration } = alone;
  if (effect.kind === "builds-index") return await settleIndex(unsettled, effect, warnings);
  if (effect.kind === "detaches")
    return await settleDetach(connection, effect, interrupted !== null);
  if (interrupted === null) return "run";
  switch (effect.kind) {
    case "drops-indexes":
    case "creates":
    case "drops":
      return await settleByIds(connection, effect, interrupted);
    case "rebuilds-indexes":
      warnings.push(
        ...(await dropInvalid(connection, await brokenTwins(connection, effect.of), migration.tag)),
      );
      return "run";
    case "unknown":
      throw inDoubt(alone);
    default:
      return "run";
  }
}

/** Returns what a later run must know of the database before the statement; null where there is nothing to know. */
export async function recordBefore({
  alone: { connection, migration },
  statement,
  effect,
  boundMs,
  seen,
}: Unsettled): Promise<Before | null> {
  switch (effect.kind) {
    case "builds-index": {
      if (seen.table === null) return null;
      const { table, indexes } = seen.table;
      const there = indexes.map(({ id }) => id);
      const wanted = wantedBy(migration, statement, effect);
      return { there, table, index: effect.index, ...(wanted === undefined ? {} : { wanted }) };
    }
    case "drops-indexes": {
      const ids = await idsOf(connection, effect, boundMs);
      return { there: ids, left: ids };
    }
    case "creates":
    case "drops":
      return { there: await idsOf(connection, effect) };
    case "rebuilds-indexes": {
      const found = effect.of === null ? undefined : await find(connection, effect.of);
      if (found?.built) await awaitBuilders(connection, found.built, boundMs);
      return { there: (await brokenTwins(connection, effect.of)).map(({ id }) => id) };
    }
    default:
      return null;
  }
}

/** Returns the indexes that a statement has left INVALID when the server refused it. */
export async function leftInvalid(
  connection: Connection,
  effect: Effect,
  before: Before | null,
): Promise<readonly IndexFacts[]> {
  if (before === null) return [];
  if (effect.kind !== "rebuilds-indexes") {
    // Nobody else could build an index of the table meanwhile: the statement held the lock for that.
    const { wanted: _wanted, ...known } = before;
    return await leftBy(connection, known);
  }
  const twins = await brokenTwins(connection, effect.of);
  return twins.filter(({ id }) => before.there?.includes(id) !== true);
}

function wantedBy(
  migration: Migration,
  statement: Statement,
  { unique = false, from }: Of<"builds-index">,
): WantedIndex | undefined {
  if (from === undefined) return undefined;
  return { unique, definition: statementText(migration, statement).slice(from) };
}

async function settleIndex(
  { alone, statement, interrupted, boundMs, seen }: Unsettled,
  effect: Of<"builds-index">,
  warnings: Warning[],
): Promise<Outcome> {
  const { connection, migration } = alone;
  const look = () => indexesOf(connection, interrupted?.table ?? effect.table);
  seen.table = await look();
  if (seen.table !== null && seen.table.built !== null) {
    await awaitBuilders(connection, seen.table.built, boundMs);
    seen.table = await look();
  }
  if (seen.table === null) return "run";
  const { indexes } = seen.table;
  const named = indexes.filter(({ name }) => name === effect.index);
  const dropped = await dropInvalid(connection, named, migration.tag);
  warnings.push(...dropped);
  const wanted = wantedBy(migration, statement, effect);
  if (interrupted === null || dropped.length > 0 || wanted === undefined) return "run";
  const candidates = (effect.index === null ? indexes : named).filter(
    ({ id, valid }) => valid && interrupted.there?.includes(id) !== true,
  );
  for (const candidate of candidates) {
    if (await isWanted(connection, candidate, wanted)) return "done";
  }
  return "run";
}

/**
 * Finds out how far a DETACH … CONCURRENTLY came, which commits half way. FINALIZE is PostgreSQL's own way to end it.
 */
async function settleDetach(
  connection: Connection,
  { table, partition }: Of<"detaches">,
  interrupted: boolean,
): Promise<Outcome> {
  const [found] = await connection.query<{
    parent: boolean;
    alone: boolean;
    pending: boolean | null;
  }>(
    `select pg_catalog.to_regclass($2) is not null as "parent", not c.relispartition as "alone",
       (select i.inhdetachpending from pg_catalog.pg_inherits i
        where i.inhrelid operator(pg_catalog.=) c.oid and i.inhparent operator(pg_catalog.=) pg_catalog.to_regclass($2)) as "pending"
     from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) pg_catalog.to_regclass($1)`,
    [quoteName(partition), quoteName(table)],
  );
  if (found?.pending === true) {
    const finish = `alter table ${quoteName(table)} detach partition ${quoteName(partition)} finalize`;
    return { finish };
  }
  return interrupted && found?.parent === true && found.alone ? "done" : "run";
}

/** What was there before is gone, or what is there was not there before: then the statement is done. */
async function settleByIds(
  connection: Connection,
  effect: Of<"creates" | "drops" | "drops-indexes">,
  { there }: Before,
): Promise<Outcome> {
  if (effect.kind === "creates") {
    const ids = await idsOf(connection, effect);
    return ids.some((id) => there?.includes(id) !== true) ? "done" : "run";
  }
  // There was nothing to drop: the server has its own words for that.
  if (there?.length === 0) return "run";
  // An earlier version has recorded nothing: then the name decides.
  return (await exist(connection, effect, there ?? (await idsOf(connection, effect))))
    ? "run"
    : "done";
}

const CATALOGS = {
  database: { from: "pg_catalog.pg_database", name: "datname" },
  tablespace: { from: "pg_catalog.pg_tablespace", name: "spcname" },
  subscription: { from: "pg_catalog.pg_subscription", name: "subname" },
};

/** @param boundMs also waits, no longer than that, for who works at the tables of indexes to drop */
async function idsOf(
  connection: Connection,
  effect: Of<"creates" | "drops" | "drops-indexes">,
  boundMs?: number | null,
): Promise<readonly number[]> {
  if (effect.kind === "drops-indexes") {
    const found = await Promise.all(effect.indexes.map((index) => find(connection, index)));
    const built = new Set(boundMs === undefined ? [] : found.flatMap((each) => each?.built ?? []));
    for (const table of built) await awaitBuilders(connection, table, boundMs ?? null);
    const ids = found.map((each) => each?.id ?? null);
    return ids.filter((id) => id !== null);
  }
  const { from, name } = CATALOGS[effect.object];
  const rows = await connection.query<{ id: number }>(
    `select oid${AS_NUMBER} as "id" from ${from} where ${name} operator(pg_catalog.=) $1::pg_catalog.name`,
    [effect.name],
  );
  return rows.map(({ id }) => id);
}

async function exist(
  connection: Connection,
  effect: Of<"creates" | "drops" | "drops-indexes">,
  ids: readonly number[],
): Promise<boolean> {
  const from =
    effect.kind === "drops-indexes" ? "pg_catalog.pg_class" : CATALOGS[effect.object].from;
  const rows = await connection.query(
    `select from ${from} where oid operator(pg_catalog.=) any($1::pg_catalog.oid[])`,
    [`{${ids.join()}}`],
  );
  return rows.length > 0;
}

/** Returns the id of an index or a table, and the table while somebody works at its indexes. */
async function find(
  connection: Connection,
  name: ObjectName,
): Promise<{ readonly id: number | null; readonly built: string | null } | undefined> {
  const [row] = await connection.query<{ id: number | null; built: string | null }>(
    `select o.oid${AS_NUMBER} as "id",
       ${builtTable("coalesce((select i.indrelid from pg_catalog.pg_index i where i.indexrelid operator(pg_catalog.=) o.oid), o.oid)")} as "built"
     from (select pg_catalog.to_regclass($1)::pg_catalog.oid as oid) o`,
    [quoteName(name)],
  );
  return row;
}

function inDoubt({ migration, index }: Alone): MigratorError {
  const { tag } = migration;
  return new MigratorError(
    "STEP_IN_DOUBT",
    `An earlier run was cut off in statement ${index + 1} of ${tag}, which runs outside a transaction, and nothing in the database tells whether it has happened. Look, and then say so: "neon-migrate repair --resolve ${tag} --as done" or "--as undone".`,
    { migration: tag },
  );
}
