import type { Connection } from "../connection/connection.ts";
import type { Sending } from "../connection/pipeline.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import { within } from "../wait.ts";
import { createHistory, type Failure, historyInsert } from "./entry.ts";
import { type HistoryOptions, treatmentOf } from "./keeper.ts";

/** A run that failed. */
export interface FailedRun {
  readonly migration: Parameters<typeof historyInsert>[2]["migration"];
  readonly executor: "drizzle" | "statements" | null;
  readonly doneBefore: number;
  /** The time of the whole run, in ms. */
  readonly tookMs: number;
  readonly failure: Failure;
}

/** The time for the row, in ms: an answer waits for it no longer. */
const LONGEST_MS = 250;

/**
 * Writes the row of a run that failed, behind its end and on its session. Nothing that goes wrong here is told, because the
 * failure of the run is. Where the ledger has no row yet, or our role may not write it, no table is made.
 * @param mayCreate whether the lock of the run is ours, so that nobody else creates the table at the same time
 */
export async function recordFailedRun(
  connection: Connection,
  ledger: Ledger,
  options: HistoryOptions,
  { tookMs, ...run }: FailedRun,
  mayCreate: boolean,
): Promise<void> {
  const { place, format, homes, rows } = ledger;
  const home = homes.find(({ schema }) => schema === place.schema);
  if (home?.tableExists !== true || !home.mayInsert) return;
  const treatment = treatmentOf(home, options, format);
  const creates = treatment === "create" && mayCreate && rows.length > 0;
  if (treatment !== "write" && !creates) return;
  const { role } = connection.database;
  const series: readonly Sending[] = [
    { text: "begin isolation level read committed read write" },
    { text: `set local statement_timeout = ${LONGEST_MS}` },
    { text: "set local session authorization default" },
    { text: `set local role ${quoteIdentifier(role)}` },
    ...(creates ? [{ text: createHistory(place) }] : []),
    historyInsert(place, options.origin, { ...run, kind: "failed", role, spentMs: tookMs }),
    { text: "commit" },
  ];
  const writing: Promise<unknown> = connection
    .lastWords(() => connection.sendAll(series, () => undefined))
    .catch(() => connection.cleanUp("rollback"));
  await within(
    writing.catch(() => undefined),
    LONGEST_MS,
    () => undefined,
  );
}
