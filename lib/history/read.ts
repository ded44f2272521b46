import type { Rows } from "../connection/connection.ts";
import { historyPlace, placesOf, quotePlace } from "../ledger/place.ts";
import { judged } from "../ledger/question.ts";
import { jsonIn } from "../ledger/read.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import type { ConfiguredLedger, LedgerPlace } from "../target/target.ts";
import type { EntryKind, Failure } from "./entry.ts";
import type { RestorePoint } from "./history.ts";

/** One row of the history, as it was read. A field is null where the row does not say it. */
export interface HistoryEntry {
  readonly kind: EntryKind;
  readonly tag: string | null;
  readonly hash: string | null;
  /** ISO 8601 in UTC, by the clock of the server; so is `endedAt`. */
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly durationMs: number | null;
  readonly statements: number | null;
  /** Number of its statements that an earlier run had done. */
  readonly statementsBefore: number | null;
  readonly executor: string | null;
  readonly requestId: string;
  readonly caller: Readonly<Record<string, string>> | null;
  readonly role: string | null;
  readonly bundleHash: string | null;
  readonly version: string | null;
  readonly restorePoint: RestorePoint | null;
  readonly error: Failure | null;
}

/** The histories of a database, in the places where its ledger can be. */
export interface HistoryRead {
  /** The newest first. */
  readonly entries: readonly HistoryEntry[];
  /** Whether there is a table at all. */
  readonly exists: boolean;
  /** The tables that our role may not read, or that belong to nobody who is believed. */
  readonly closed: readonly LedgerPlace[];
}

/** So many rows are read: the newest. */
export const MAX_ENTRIES = 5_000;

/** Returns the statement that reads the histories. A table that is not believed, or closed to our role, is not touched. */
export function historyQuestion(ledger: ConfiguredLedger): string {
  const places = placesOf(ledger).map(historyPlace);
  const values = places.map((place) => {
    const texts = [
      quoteIdentifier(place.schema),
      quotePlace(place),
      judged(quotePlace(place), newest(place)),
    ];
    return `(${[place.schema, place.table, ...texts].map(quoteLiteral).join(", ")})`;
  });
  return `
    select h.schema as "schema", h.name as "table", pg_catalog.query_to_xml(coalesce(
      case when pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace(h.namespace), 'USAGE') then (
        select h.judge from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) pg_catalog.to_regclass(h.history)::pg_catalog.oid
      ) end, 'select true as none'), false, true, '') as "history"
    from (values ${values.join(", ")}) as h(schema, name, namespace, history, judge)`;
}

/** The rows are never changed, so their places in the file are their order. No column is named: one may be gone. */
function newest(place: LedgerPlace): string {
  return `pg_catalog.json_agg(r) as rows from (select t.* from ${quotePlace(place)} as t order by t.ctid desc limit ${MAX_ENTRIES}) as r`;
}

/** Reads the answer to `historyQuestion`. */
export function readHistory(rows: Rows | undefined): HistoryRead {
  // The statement above made these rows; their shape is ours.
  const answers = (rows ?? []) as unknown as readonly (LedgerPlace & {
    readonly history: string;
  })[];
  const there = answers.filter(({ history }) => !history.includes("<none>"));
  return {
    exists: there.length > 0,
    entries: there
      .flatMap(({ history }) => jsonIn(history).map(entryOf))
      .toSorted((one, other) => timeOf(other) - timeOf(one)),
    closed: there
      .filter(({ history }) => !history.includes("<read"))
      .map(({ schema, table }) => ({ schema, table })),
  };
}

function timeOf({ endedAt }: HistoryEntry): number {
  return endedAt === null ? 0 : Date.parse(endedAt);
}

function entryOf(row: Rows[number]): HistoryEntry {
  const lsn = text(row.restore_lsn);
  const time = instant(row.restore_time);
  return {
    // Rows of ours have one of these; somebody else's word is shown as it is.
    kind: (text(row.kind) ?? "applied") as EntryKind,
    ...{ tag: text(row.tag), hash: text(row.hash) },
    ...{ startedAt: instant(row.started_at), endedAt: instant(row.ended_at) },
    durationMs: count(row.duration_ms),
    ...{ statements: count(row.statements), statementsBefore: count(row.statements_before) },
    ...{ executor: text(row.executor), requestId: text(row.request_id) ?? "" },
    // `historyInsert` wrote them; their shapes are ours.
    caller: (row.caller ?? null) as HistoryEntry["caller"],
    ...{ role: text(row.role), bundleHash: text(row.bundle_hash), version: text(row.version) },
    restorePoint: time === null ? null : { lsn, time },
    error: (row.error ?? null) as HistoryEntry["error"],
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function count(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function instant(value: unknown): string | null {
  const date = new Date(typeof value === "string" ? value : Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
