import type { Sending } from "../connection/pipeline.ts";
import { quotePlace } from "../ledger/place.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { deniedRuns } from "./denied.ts";
import type { RunsHome } from "./home.ts";

/** The number of runs that the table remembers. */
export const RUNS_KEPT = 100;

/** The limit for locks. A run that creates its ledger holds the schema until it commits: we do not wait for that. */
const BRIEFLY = "set local lock_timeout = '2s'";

/**
 * Chooses the table of a run: the table that exists, else the first place where it can be created.
 * @throws MigratorError `LEDGER_DENIED` where no place is left, with the GRANTs that would help
 */
export function chooseRunsHome(homes: readonly RunsHome[], role: string): RunsHome {
  const chosen =
    homes.find(({ exists, mayRead, mayWrite }) => exists && mayRead && mayWrite) ??
    homes.find(({ exists, mayCreate }) => !exists && mayCreate);
  if (chosen !== undefined) return chosen;
  throw deniedRuns(homes, role);
}

/**
 * Returns the statements that create the table where it is missing, for one message. The columns of JSON are `json`,
 * because `jsonb` refuses a zero byte in a text.
 */
export function createRuns(home: RunsHome): readonly string[] {
  if (home.exists) return [];
  const schema = `create schema ${quoteIdentifier(home.schema)}`;
  const table = `
    create table ${quotePlace(home)} (
      id pg_catalog.uuid primary key,
      state pg_catalog.text not null default 'queued',
      requested_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
      requested_by pg_catalog.text,
      request pg_catalog.json not null,
      request_id pg_catalog.text,
      started_at timestamp with time zone,
      seen_at timestamp with time zone,
      progress pg_catalog.json,
      finished_at timestamp with time zone,
      report pg_catalog.json
    )`;
  return [BRIEFLY, ...(home.schemaExists ? [] : [schema]), table];
}

/** Returns a time as ISO 8601, whatever the role's `DateStyle` is: the driver reads the usual style only. */
function utc(column: string): string {
  return `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/**
 * Returns the statement that writes a new run down, and deletes the oldest. It keeps a run that may still be under way,
 * and skips rows that another call deletes at the same time.
 */
export function insertRun(
  place: LedgerPlace,
  run: { readonly id: string; readonly requestedBy: string | null; readonly request: object },
): Sending {
  const table = quotePlace(place);
  return {
    text: `
      with forgotten as (
        delete from ${table} where id operator(pg_catalog.=) any (
          select id from ${table} where finished_at is not null or requested_at operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) interval '1 day')
          order by requested_at desc, id offset ${RUNS_KEPT - 1} for update skip locked
        )
      )
      insert into ${table} (id, requested_by, request) values ($1::pg_catalog.uuid, case when $2::pg_catalog.text operator(pg_catalog.<>) '' then $2 end, $3::pg_catalog.json)
      returning ${utc("requested_at")} as "requestedAt"`,
    values: [run.id, run.requestedBy ?? "", JSON.stringify(run.request)],
  };
}

/** Returns the statement that makes a queued run this call's own. The server answers a row exactly once. */
export function claimRun(place: LedgerPlace, id: string, requestId: string): Sending {
  return {
    text: `
      update ${quotePlace(place)}
      set state = 'running', request_id = $2::pg_catalog.text, started_at = pg_catalog.clock_timestamp(), seen_at = pg_catalog.clock_timestamp()
      where id operator(pg_catalog.=) $1::pg_catalog.uuid and state operator(pg_catalog.=) 'queued' returning id`,
    values: [id, requestId],
  };
}

/** Returns the statement that shows that a run lives, and how far it is. The server answers no row once it is finished. */
export function touchRun(
  place: LedgerPlace,
  run: { readonly id: string; readonly requestId: string; readonly progress: object | null },
): Sending {
  return {
    text: `
      update ${quotePlace(place)} set seen_at = pg_catalog.clock_timestamp(), progress = $3::pg_catalog.json
      where id operator(pg_catalog.=) $1::pg_catalog.uuid and request_id operator(pg_catalog.=) $2::pg_catalog.text and state operator(pg_catalog.=) 'running' returning id`,
    values: [run.id, run.requestId, JSON.stringify(run.progress)],
  };
}

/**
 * Returns the statement that finishes a run of this call, or a run that no call has begun. For any other run the server
 * answers no row.
 */
export function finishRun(
  place: LedgerPlace,
  run: { readonly id: string; readonly requestId: string; readonly report: object },
): Sending {
  return {
    text: `
      update ${quotePlace(place)}
      set state = 'finished', request_id = $2::pg_catalog.text, finished_at = pg_catalog.clock_timestamp(), progress = null,
        report = $3::pg_catalog.json
      where id operator(pg_catalog.=) $1::pg_catalog.uuid and (state operator(pg_catalog.=) 'queued' or state operator(pg_catalog.=) 'running' and request_id operator(pg_catalog.=) $2::pg_catalog.text) returning id`,
    values: [run.id, run.requestId, JSON.stringify(run.report)],
  };
}

/** Returns the statement that reads a run by the clock of the server, and asks whether its call still has a session. */
export function selectRun(place: LedgerPlace, id: string): Sending {
  return {
    text: `
      select
        r.state, r.requested_by as "requestedBy", r.request_id as "requestId", r.progress, r.report,
        ${utc("r.requested_at")} as "requestedAt", ${utc("r.started_at")} as "startedAt",
        ${utc("r.seen_at")} as "seenAt", ${utc("r.finished_at")} as "finishedAt",
        extract(epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) coalesce(r.seen_at, r.requested_at))::float8 as "silentSeconds",
        exists (
          select from pg_catalog.pg_stat_activity a
          where a.datname operator(pg_catalog.=) pg_catalog.current_database() and a.application_name operator(pg_catalog.~~) pg_catalog.concat('%/', r.request_id)
        ) as "connected"
      from ${quotePlace(place)} r where r.id operator(pg_catalog.=) $1::pg_catalog.uuid`,
    values: [id],
  };
}
