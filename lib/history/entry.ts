import type { Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { historyPlace, quotePlace } from "../ledger/place.ts";
import type { CallerFacts } from "../request.ts";
import type { LedgerPlace } from "../target/target.ts";
import { shortened } from "../text.ts";
import type { RestorePoint } from "./history.ts";

/** The facts about a run that stand in each of its rows. */
export interface RunOrigin {
  readonly requestId: string;
  /** Null where nobody says who calls. */
  readonly caller: CallerFacts | null;
  /** The hash of the bundle. */
  readonly bundleHash: string;
  /** The version of this package. */
  readonly version: string;
  readonly restorePoint: RestorePoint | null;
}

/** The kinds of rows: a migration that was applied, and a run that failed. */
export type EntryKind = "applied" | "failed";

/** One row, as it is written. Its times are the server's, who writes it when the work is done. */
export interface Entry {
  readonly kind: EntryKind;
  /** Null for a failure that is about no migration. */
  readonly migration: Pick<Migration, "tag" | "hash" | "statements"> | null;
  /** Null where nobody executed anything. */
  readonly executor: "drizzle" | "statements" | null;
  readonly role: string;
  /** Number of its statements that an earlier run had done. Default: 0. */
  readonly doneBefore?: number;
  /** Work on it before the present transaction, in ms. Default: 0. */
  readonly spentMs?: number;
  /** Time since that work began, in ms, until the present transaction began. Default: `spentMs`. */
  readonly elapsedMs?: number;
  /** Null for a row that tells of no failure. */
  readonly failure?: Failure | null;
}

/** The failure of a run. It quotes no data. */
export interface Failure {
  readonly code: string;
  readonly sqlstate: string | null;
  /** Number of the statement, from 1; null for a failure of none. */
  readonly statement: number | null;
  readonly message: string;
}

/** The longest text of a caller, and of a failure's message. */
const MAX_FACT = 256;
const MAX_MESSAGE = 1_000;

/** Returns the statement that creates the table. `if not exists` would believe a table that somebody else made meanwhile. */
export function createHistory(ledger: LedgerPlace): string {
  return `
    create table ${quotePlace(historyPlace(ledger))} (
      id bigint generated always as identity primary key,
      kind pg_catalog.text not null,
      tag pg_catalog.text,
      hash pg_catalog.text,
      started_at timestamp with time zone not null,
      ended_at timestamp with time zone not null,
      duration_ms bigint not null,
      statements integer,
      statements_before integer,
      executor pg_catalog.text,
      request_id pg_catalog.text not null,
      caller pg_catalog.jsonb,
      role pg_catalog.text not null,
      bundle_hash pg_catalog.text not null,
      version pg_catalog.text not null,
      restore_lsn pg_catalog.pg_lsn,
      restore_time timestamp with time zone,
      error pg_catalog.jsonb
    )
  `;
}

/**
 * Returns the statement that writes a row. A migration began when the one before it in its transaction ended, or else with the
 * transaction. Work on it in earlier transactions of the run is added by our own clock.
 */
export function historyInsert(ledger: LedgerPlace, origin: RunOrigin, entry: Entry): Sending {
  const history = quotePlace(historyPlace(ledger));
  const { migration, spentMs = 0, elapsedMs = spentMs, failure = null } = entry;
  const { restorePoint, caller } = origin;
  const texts: readonly (readonly [column: string, type: string, value: string | null])[] = [
    ["kind", "text", entry.kind],
    ["tag", "text", migration?.tag ?? null],
    ["hash", "text", migration?.hash ?? null],
    ["statements", "int4", migration === null ? null : String(migration.statements.length)],
    ["statements_before", "int4", migration === null ? null : String(entry.doneBefore ?? 0)],
    ["executor", "text", entry.executor],
    ["request_id", "text", origin.requestId],
    ["caller", "jsonb", caller === null ? null : jsonOf(caller, MAX_FACT)],
    ["role", "text", entry.role],
    ["bundle_hash", "text", origin.bundleHash],
    ["version", "text", origin.version],
    ["restore_lsn", "pg_lsn", restorePoint?.lsn ?? null],
    ["restore_time", "timestamptz", restorePoint?.time ?? null],
    ["error", "jsonb", failure === null ? null : jsonOf(failure, MAX_MESSAGE)],
  ];
  const given = texts.filter(([, , value]) => value !== null);
  const columns = given.map(([column]) => column);
  const parameters = given.map(([, type], index) => `$${index + 3}::pg_catalog.${type}`);
  const ofMs = (ms: string) => `(interval '1 ms' operator(pg_catalog.*) ${ms}::pg_catalog.float8)`;
  const took = "extract(epoch from t.ended operator(pg_catalog.-) t.began)::pg_catalog.float8";
  const lastEnd = `(select h.ended_at from ${history} h order by h.id desc limit 1)`;
  return {
    // The clock of the statement is as exact as that of the moment here, and lets the planner do less.
    text: `
      insert into ${history} (started_at, ended_at, duration_ms, ${columns.join(", ")})
      select t.began operator(pg_catalog.-) ${ofMs("$1")}, t.ended,
        pg_catalog.round((${took} operator(pg_catalog.*) 1000) operator(pg_catalog.+) $2::pg_catalog.float8)::pg_catalog.int8,
        ${parameters.join(", ")}
      from (
        select pg_catalog.statement_timestamp() as ended,
          least(pg_catalog.statement_timestamp(), greatest(pg_catalog.now(), ${lastEnd})) as began
        offset 0
      ) t`,
    values: [
      String(Math.round(elapsedMs)),
      String(Math.round(spentMs)),
      ...given.map(([, , value]) => value ?? ""),
    ],
  };
}

/** `jsonb` takes neither a zero byte nor half of a pair of UTF-16. */
function jsonOf(value: object, maxLength: number): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "string" ? shortened(each.replaceAll(UNUSABLE, "?"), maxLength) : each,
  );
}

const UNUSABLE = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;
