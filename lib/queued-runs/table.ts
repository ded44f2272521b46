import type { Sending } from "../connection/pipeline.ts";
import { quotePlace } from "../ledger/place.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { deniedRuns } from "./denied.ts";
import type { RunsHome } from "./home.ts";

/** How many runs the table remembers. */
export const RUNS_KEPT = 100;

/** A run that creates its ledger has the schema in its hands until it commits: that is not waited for. */
const BRIEFLY = "set local lock_timeout = '2s'";

/**
 * Where a run is written down: the table that exists, else the first place where it can be created.
 * @throws MigratorError `LEDGER_DENIED` where there is none, with the GRANTs that would help
 */
export function chooseRunsHome(homes: readonly RunsHome[], role: string): RunsHome {
  const chosen =
    homes.find(({ exists, mayRead, mayWrite }) => exists && mayRead && mayWrite) ??
    homes.find(({ exists, mayCreate }) => !exists && mayCreate);
  if (chosen !== undefined) return chosen;
  throw deniedRuns(homes, role);
}

/**
 * What creates the table where it is missing, for one message. Its JSON is `json`, because `jsonb` refuses a zero
 * byte in a text.
 */
export function createRuns(home: RunsHome): readonly string[] {
  if (home.exists) return [];
  const schema = `create schema ${quoteIdentifier(home.schema)}`;
  const table = `
    create table ${quotePlace(home)} (
      id uuid primary key,
      state text not null default 'queued',
      requested_at timestamp with time zone not null default clock_timestamp(),
      requested_by text,
      request json not null,
      request_id text,
      started_at timestamp with time zone,
      seen_at timestamp with time zone,
      progress json,
      finished_at timestamp with time zone,
      report json
    )`;
  return [BRIEFLY, ...(home.schemaExists ? [] : [schema]), table];
}

/** A time as ISO 8601, whatever the role's `DateStyle` is: the driver reads no other than the usual one. */
function utc(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/**
 * What writes a new run down, and forgets the oldest. One that may still be under way is kept; what another
 * call deletes at the same time is left to it.
 */
export function insertRun(
  place: LedgerPlace,
  run: { readonly id: string; readonly requestedBy: string | null; readonly request: object },
): Sending {
  const table = quotePlace(place);
  return {
    text: `
      with forgotten as (
        delete from ${table} where id in (
          select id from ${table} where finished_at is not null or requested_at < now() - interval '1 day'
          order by requested_at desc, id offset ${RUNS_KEPT - 1} for update skip locked
        )
      )
      insert into ${table} (id, requested_by, request) values ($1::uuid, nullif($2::text, ''), $3::json)
      returning ${utc("requested_at")} as "requestedAt"`,
    values: [run.id, run.requestedBy ?? "", JSON.stringify(run.request)],
  };
}

/** What makes a queued run this call's own: answers a row exactly once. */
export function claimRun(place: LedgerPlace, id: string, requestId: string): Sending {
  return {
    text: `
      update ${quotePlace(place)}
      set state = 'running', request_id = $2::text, started_at = clock_timestamp(), seen_at = clock_timestamp()
      where id = $1::uuid and state = 'queued' returning id`,
    values: [id, requestId],
  };
}

/** What shows that a run lives, and how far it is; answers no row once it is finished. */
export function touchRun(
  place: LedgerPlace,
  run: { readonly id: string; readonly requestId: string; readonly progress: object | null },
): Sending {
  return {
    text: `
      update ${quotePlace(place)} set seen_at = clock_timestamp(), progress = $3::json
      where id = $1::uuid and request_id = $2::text and state = 'running' returning id`,
    values: [run.id, run.requestId, JSON.stringify(run.progress)],
  };
}

/** What writes down how a run ended that is this call's, or that no call has begun; answers a row if it was so. */
export function finishRun(
  place: LedgerPlace,
  run: { readonly id: string; readonly requestId: string; readonly report: object },
): Sending {
  return {
    text: `
      update ${quotePlace(place)}
      set state = 'finished', request_id = $2::text, finished_at = clock_timestamp(), progress = null,
        report = $3::json
      where id = $1::uuid and (state = 'queued' or state = 'running' and request_id = $2::text) returning id`,
    values: [run.id, run.requestId, JSON.stringify(run.report)],
  };
}

/** What reads a run: its columns, by the clock of the server, and whether its call still has a session. */
export function selectRun(place: LedgerPlace, id: string): Sending {
  return {
    text: `
      select
        r.state, r.requested_by as "requestedBy", r.request_id as "requestId", r.progress, r.report,
        ${utc("r.requested_at")} as "requestedAt", ${utc("r.started_at")} as "startedAt",
        ${utc("r.seen_at")} as "seenAt", ${utc("r.finished_at")} as "finishedAt",
        extract(epoch from clock_timestamp() - coalesce(r.seen_at, r.requested_at))::float8 as "silentSeconds",
        exists (
          select from pg_catalog.pg_stat_activity a
          where a.datname = current_database() and a.application_name like '%/' || r.request_id
        ) as "connected"
      from ${quotePlace(place)} r where r.id = $1::uuid`,
    values: [id],
  };
}
