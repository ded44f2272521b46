import { connect } from "../connection/connect.ts";
import { readConfig } from "../target/config.ts";
import { resolveTarget } from "../target/secret.ts";
import type { Target } from "../target/target.ts";
import type { RunsDependencies } from "./with-runs.ts";

/** The database that holds the table of runs. @throws MigratorError as `readConfig` and `resolveTarget` */
export async function runsTarget(): Promise<Target> {
  return await resolveTarget(readConfig());
}

/** What work on the table of runs needs: the driver is the handler's, which has loaded it already. */
export function runsDependencies(options: Omit<RunsDependencies, "connect">): RunsDependencies {
  return { connect, ...options };
}
