/** The report of a fleet: one JSON value of at most 20 KB, whatever its size. Schema: `docs/fleet-report.schema.json`. */
export interface FleetReport {
  readonly schemaVersion: 1;
  /** The name of the bucket, which is the fleet's own. */
  readonly fleet: string;
  /** The name of the execution. */
  readonly run: string;
  readonly bundleHash: string;
  /** Tag of the newest migration of the bundle; null for a bundle without any. */
  readonly latest: string | null;
  /** In UTC. */
  readonly startedAt: string;
  readonly endedAt: string;
  /**
   * `applied`, `up-to-date`: all went well; `partial`: some failed, or nobody knows what became of them; `failed`: none went
   * well, or the run broke off before the waves; `stopped`: a wave went over its budget, or somebody stopped the execution;
   * `incomplete`: the results of a wave could not be found.
   */
  readonly status: "applied" | "up-to-date" | "partial" | "failed" | "stopped" | "incomplete";
  readonly counts: FleetCounts;
  readonly waves: readonly ReportedWave[];
  /** Failures with the same cause, the most frequent first. */
  readonly failures: readonly FailureGroup[];
  /** The ten that took longest. */
  readonly slowest: readonly { readonly id: string; readonly ms: number }[];
  /** The times of the tenants that answered, in ms; null where none did. */
  readonly durations: {
    readonly p50: number | null;
    readonly p95: number | null;
    readonly max: number | null;
  };
  /** How many tenants have which newest migration, as far as it is known; `none` for a database without any. */
  readonly versions: Readonly<Record<string, number>>;
  /** The tenants that do not have the newest migration, or of which nobody knows; `file` lists them. */
  readonly behind: { readonly count: number; readonly file: string };
  /** How many tenants have migrations that the bundle does not have, as behind a return to older code. */
  readonly ahead: number;
  /** The tenant that was rehearsed; absent where nobody asked for that. */
  readonly canary?: FleetCanary;
  /** Keys in the bucket. */
  readonly files: {
    readonly report: string;
    readonly tenants: string;
    readonly manifests: readonly string[];
  };
  /** The command that goes on. */
  readonly next: string;
  /** Whether lists in it were cut, so that it is no longer than 20 KB. The files have all. */
  readonly shortened?: boolean;
  /** What stopped the run before its end; absent where nothing did. */
  readonly stoppedBy?: { readonly error: string; readonly cause: string };
}

/** The tenant that is rehearsed on a branch before it is touched. */
export interface FleetCanary {
  readonly id: string;
  /**
   * `failed`, `refused`: the tenant itself was not touched. Null: nothing was pending, the branch could not be had, or nobody
   * knows what came of it.
   */
  readonly rehearsal: "passed" | "failed" | "refused" | null;
}

/** How many tenants came to which end. */
export interface FleetCounts {
  readonly total: number;
  readonly skipped: number;
  readonly applied: number;
  readonly upToDate: number;
  readonly failed: number;
  /** The database, or the place of its connection string, is not there any more. */
  readonly gone: number;
  /** Aborted, or without a result: the database may have the migrations or not. */
  readonly unknown: number;
  /** Never begun. */
  readonly pending: number;
}

/** How one wave ended. */
export interface ReportedWave {
  readonly index: number;
  readonly name: string;
  readonly count: number;
  readonly applied: number;
  readonly upToDate: number;
  readonly failed: number;
  readonly gone: number;
  readonly unknown: number;
  readonly pending: number;
  readonly toleratedCount: number;
  /** Whether more failed than were tolerated. Then no further wave began. */
  readonly overBudget: boolean;
}

/** Tenants that failed for the same reason. */
export interface FailureGroup {
  readonly code: string;
  readonly sqlstate: string | null;
  readonly migration: string | null;
  /** Number of the statement, from 1. */
  readonly statement: number | null;
  readonly count: number;
  /** The first ten. */
  readonly firstIds: readonly string[];
  /** Of the first of them, without data. */
  readonly message: string;
}

/** One line of `tenants.jsonl`: the end of one tenant. */
export interface TenantLine {
  readonly id: string;
  readonly status: TenantStatus;
  /** Index of its wave; null for one that was left out. */
  readonly wave: number | null;
  /** Number of migrations that the run applied. */
  readonly applied?: number;
  readonly latest?: string | null;
  /** Number of its migrations that the bundle does not have; absent where it is none. */
  readonly ahead?: number;
  /** What came of its rehearsal; absent where there was none. */
  readonly rehearsal?: "passed" | "failed" | "refused";
  readonly ms?: number;
  readonly code?: string;
  readonly sqlstate?: string | null;
  readonly migration?: string | null;
  readonly statement?: number | null;
  readonly message?: string;
}

/** The end of one tenant in a run. */
export type TenantStatus =
  | "skipped"
  | "applied"
  | "up-to-date"
  | "failed"
  | "gone"
  | "unknown"
  | "pending";
