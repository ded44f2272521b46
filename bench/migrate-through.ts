import type { Bundle } from "../lib/bundle/bundle.ts";
import { silentLog } from "../lib/log.ts";
import { migrate } from "../lib/migrate/migrate.ts";
import type { Report } from "../lib/report/report.ts";
import { parseRequest } from "../lib/request.ts";
import { type ConfiguredLedger, DEFAULT_LEDGER } from "../lib/target/target.ts";

/**
 * Runs a request in this process for a measurement: through a relay, without a deadline from outside.
 * @param site the owner's connection string, and the relay's address as in `NEON_WS_PROXY`
 */
export async function migrateThrough(
  { url, relay }: { readonly url: string; readonly relay: string },
  bundle: Bundle,
  request: Readonly<Record<string, unknown>> = {},
  ledger: ConfiguredLedger = DEFAULT_LEDGER,
): Promise<Report> {
  return await migrate(parseRequest(request), {
    bundle,
    target: () => ({ url, relay, ledger, connectTimeoutMs: 10_000, warnings: [] }),
    requestId: "bench",
    deadline: null,
    log: silentLog,
  });
}
