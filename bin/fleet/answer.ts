import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { EXIT_CODE } from "../exit-code.ts";
import type { Sight } from "./sight.ts";

/** The verbs of `fleet`. */
export type FleetVerb = "start" | "status" | "report" | "resume";

/** The answer of `fleet`: what is seen of a run, its report where it has one, and how the tenants stand. */
export interface FleetAnswer {
  readonly schemaVersion: 1;
  readonly machine: string;
  /** Null where the machine has never run. */
  readonly run: Sight | null;
  /** Null while the run goes on, and for one that never came to its report. */
  readonly report: FleetReport | null;
  /** The fleet's ledger; null where it was not asked, or is not there. */
  readonly ledger: LedgerFacts | null;
}

/** How the tenants stand, as the fleet's ledger has it. No compute is woken for it. */
export interface LedgerFacts {
  readonly tenants: number;
  /** How many tenants have which newest migration. */
  readonly versions: Readonly<Record<string, number>>;
}

const WELL: readonly string[] = ["applied", "up-to-date"];

/** Returns the exit code for an answer: 0 all, 1 failed, 3 partial or under way. */
export function exitCodeOf({ run, report }: Pick<FleetAnswer, "run" | "report">): number {
  if (run === null || run.status === "RUNNING") return EXIT_CODE.pending;
  if (report === null) return EXIT_CODE.failed;
  if (WELL.includes(report.status)) return EXIT_CODE.done;
  return report.status === "partial" ? EXIT_CODE.pending : EXIT_CODE.failed;
}
