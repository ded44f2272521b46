import type { FleetPlan } from "./fleet-plan.ts";

/** The event by which the machine has the function prepare a run of a fleet, or report on it. */
export interface FleetEvent {
  readonly "neon-migrate.fleet": PrepareStep | ReportStep;
}

/** Makes the plan of a run. */
export interface PrepareStep {
  readonly step: "prepare";
  /** The name of the execution. */
  readonly run: string;
  /** The input of the execution; `readFleetRequest` reads it. */
  readonly request: unknown;
}

/** Reports on a run that has ended, however it did. */
export interface ReportStep {
  readonly step: "report";
  readonly run: string;
  /** Absent where `prepare` failed, or somebody asks afterwards: then the plan in the bucket counts. */
  readonly plan?: FleetPlan;
  /** Number of waves that began, where somebody asks who has seen it. */
  readonly begun?: number;
  /** The error output of the map that failed, or of the step that did. */
  readonly failed?: { readonly Error?: string; readonly Cause?: string };
}
