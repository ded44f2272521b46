import type { TargetReference } from "../target-reference.ts";

/** The answer of `prepare`: all that the machine needs to go through the waves. At most 4 KB. */
export interface FleetPlan {
  /** The name of the execution. */
  readonly run: string;
  readonly bucket: string;
  /** The folder of this run in the bucket: `runs/<run>`. */
  readonly prefix: string;
  /** The bundle that the run was prepared for. */
  readonly expect: { readonly hash: string };
  /** The fields of the request that every tenant gets. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly failOn: "any" | "budget";
  /** Whether a tenant that is gone counts as a failure. */
  readonly gone: "error" | "skip";
  readonly counts: {
    readonly total: number;
    /** Known as up to date by the fleet's ledger, and left out. */
    readonly skipped: number;
    readonly due: number;
  };
  readonly waves: readonly PlannedWave[];
}

/** One wave: a file of tenants, and the limits of the map that goes through it. */
export interface PlannedWave {
  /** From 0. */
  readonly index: number;
  readonly name: string;
  /** The file in the bucket, one {@link WaveLine} a line. */
  readonly key: string;
  readonly count: number;
  readonly maxConcurrency: number;
  readonly toleratedCount: number;
  readonly pauseSeconds: number;
  /** Whether its first tenant is rehearsed. */
  readonly rehearse: boolean;
}

/** One line of a wave's file: the fields that this tenant's request has beside those of all. */
export interface WaveLine {
  readonly target: TargetReference;
  readonly rehearsal?: "first";
}
