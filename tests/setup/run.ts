import type { Bundle } from "../../lib/bundle/bundle.ts";
import { type Log, silentLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate/migrate.ts";
import type { Report } from "../../lib/report/report.ts";
import { type CallerFacts, parseRequest } from "../../lib/request.ts";
import { DEFAULT_LEDGER, type Target } from "../../lib/target/target.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { expectReport } from "./report-schema.ts";

/** Makes a target behind a relay. */
export function targetOf(url: string, relay: string, changes: Partial<Target> = {}): Target {
  return {
    url,
    relay,
    ledger: DEFAULT_LEDGER,
    connectTimeoutMs: 120_000,
    warnings: [],
    ...changes,
  };
}

/** A database, and the way to it through a relay. */
export interface TestTarget {
  readonly database: TestDatabase;
  readonly target: Target;
}

/** Creates a target for all tests of a file; `close` of the database ends both. `test.ts` has one for a single test. */
export async function createTestTarget(): Promise<TestTarget> {
  const database = await createTestDatabase();
  const relay = await database.startRelay();
  return { database, target: targetOf(database.url, relay.address) };
}

/** The settings of a run in a test. */
export interface RunSettings {
  /** The log of the run. Default: one that keeps nothing. */
  readonly log?: Log;
  /** Default: nobody. */
  readonly caller?: CallerFacts;
}

/** Runs one request, and checks the report by the published schema. */
export async function run(
  target: Target,
  bundle: Bundle,
  request: object = {},
  { log = silentLog, caller }: RunSettings = {},
): Promise<Report> {
  const report = await migrate(parseRequest(request), {
    bundle,
    target: () => target,
    requestId: "test",
    deadline: null,
    log,
    ...(caller === undefined ? {} : { caller: () => caller }),
  });
  return expectReport(JSON.parse(JSON.stringify(report)));
}
