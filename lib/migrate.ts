import type { Bundle } from "./bundle.ts";
import type { Target } from "./config.ts";
import type { Log } from "./log.ts";
import { failedReport, type Report } from "./report.ts";
import type { Request } from "./request.ts";

/** What a run needs from outside. */
export interface Dependencies {
  readonly bundle: Bundle;
  /** Where to run. Called once, inside the run: a secret that cannot be read becomes a failed report. */
  target(): Promise<Target> | Target;
  readonly requestId: string;
  /** Epoch ms by which the report must be there; null means no limit from outside. */
  readonly deadline: number | null;
  readonly log: Log;
}

/** Runs one request against one database. Never rejects: every failure is a report. */
export async function migrate(_request: Request, dependencies: Dependencies): Promise<Report> {
  await dependencies.target();
  return failedReport(dependencies.requestId, new Error("not wired yet"));
}
