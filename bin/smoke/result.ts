import type { DatabaseFacts } from "../../lib/connection/connection.ts";
import type { Left } from "./clean.ts";
import type { Names } from "./scratch.ts";
import type { Step, StepEnd } from "./steps.ts";

/** The answer of the command, which `--json` prints. */
export interface SmokeResult extends Names {
  readonly schemaVersion: 1;
  readonly status: "planned" | "passed" | "failed";
  /** Null where nobody has asked it. */
  readonly database: DatabaseFacts | null;
  /** The place of CDK's command line. */
  readonly cdk: string;
  /** Without `--yes` as they are planned. */
  readonly steps: readonly (Step | StepEnd)[];
  /** What is there still, with the command that removes it. */
  readonly left: readonly Left[];
  /** The command that removes what a run has left. */
  readonly cleanWith: string;
}
