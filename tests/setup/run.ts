import type { Bundle } from "../../lib/bundle.ts";
import { DEFAULT_LEDGER, type Target } from "../../lib/config.ts";
import { silentLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate.ts";
import type { Report } from "../../lib/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { expectReport } from "./report-schema.ts";

/** A target behind a relay. */
export function targetOf(url: string, relay: string, changes: Partial<Target> = {}): Target {
  return {
    url,
    relay,
    ledger: DEFAULT_LEDGER,
    connectTimeoutMs: 10_000,
    warnings: [],
    ...changes,
  };
}

/** Runs one request, and holds the report against the published schema. */
export async function run(target: Target, bundle: Bundle, request: object = {}): Promise<Report> {
  const report = await migrate(parseRequest(request), {
    bundle,
    target: () => target,
    requestId: "test",
    deadline: null,
    log: silentLog,
  });
  return expectReport(JSON.parse(JSON.stringify(report)));
}
