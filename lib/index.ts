/*
 * The public API: all that users of the library import. It only gives names away, and does nothing itself.
 */

export type { Bundle, Migration, Statement } from "./bundle/bundle.ts";
export {
  type Finding,
  findingsOf,
  type PlacedFinding,
  type ReportedFinding,
  type Severity,
} from "./bundle/finding.ts";
export { openBundle } from "./bundle/open-bundle.ts";
export { readBundle } from "./bundle/read-bundle.ts";
export type { Warning } from "./errors.ts";
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorFacts,
  MigratorError,
  type StatementPlace,
} from "./errors.ts";
export type { InvocationContext } from "./events/caller.ts";
export { createHandler } from "./handler/handler.ts";
export { createStreamingHandler } from "./handler/streaming-handler.ts";
export { createLog, type Log, silentLog } from "./log.ts";
export { type Dependencies, migrate } from "./migrate/migrate.ts";
export type { RunRecord } from "./queued-runs/record.ts";
export type { Report, ReportedError } from "./report/report.ts";
export { parseRequest, type Request } from "./request.ts";
export { type Config, type DatabaseUrlReference, readConfig } from "./target/config.ts";
export { resolveTarget } from "./target/secret.ts";
export type { LedgerPlace, Target } from "./target/target.ts";
