import type { Bundle } from "../../lib/bundle/bundle.ts";
import { type Log, silentLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate/migrate.ts";
import type { Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { DEFAULT_LEDGER, type Target } from "../../lib/target/target.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { expectReport } from "./report-schema.ts";

/** A target behind a relay. */
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

/** Creates what the tests of one file share; the `close` of the database ends both. One test alone asks `setup/test.ts`. */
export async function createTestTarget(): Promise<TestTarget> {
  const database = await createTestDatabase();
  const relay = await database.startRelay();
  return { database, target: targetOf(database.url, relay.address) };
}

/** How a run is looked at while it goes on. */
export interface RunSettings {
  /** Default: one that keeps nothing. */
  readonly log?: Log;
}

/** Runs one request, and holds the report against the published schema. */
export async function run(
  target: Target,
  bundle: Bundle,
  request: object = {},
  { log = silentLog }: RunSettings = {},
): Promise<Report> {
  const report = await migrate(parseRequest(request), {
    bundle,
    target: () => target,
    requestId: "test",
    deadline: null,
    log,
  });
  return expectReport(JSON.parse(JSON.stringify(report)));
}
