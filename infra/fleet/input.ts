/** One tenant's database by reference: never a connection string, which everyone who reads an execution would see. */
export type FleetTarget = { readonly id: string } & (
  | { readonly parameter: string }
  | { readonly secret: string; readonly field?: string }
  | { readonly database: string }
  | {
      readonly neon: {
        readonly project: string;
        readonly database: string;
        readonly role: string;
        readonly branch?: string;
      };
    }
);

/** The place of the list of tenants. */
export type FleetTargets =
  | { readonly inline: readonly FleetTarget[] }
  | { readonly s3: { readonly bucket: string; readonly key: string } }
  | { readonly sql: { readonly target: Omit<FleetTarget, "id">; readonly query: string } }
  | {
      readonly neon: {
        readonly organization: string;
        readonly database: string;
        readonly role: string;
      };
    };

/** One wave: tenants by their ids, by a number, or by percent of all that are due. */
export type FleetWave = { readonly pauseSeconds?: number } & (
  | { readonly tenants: readonly string[] }
  | { readonly count: number }
  | { readonly percent: number }
);

/** The input of an execution, as `neon-migrate fleet start` sends it. docs/reference/fleet.md has every field. */
export interface FleetInput {
  readonly targets: FleetTargets;
  /** Fields of an ordinary request, for every tenant. */
  readonly request?: Readonly<Record<string, unknown>>;
  readonly waves?: readonly FleetWave[];
  /** How many tenants at a time. */
  readonly maxConcurrency?: number;
  /** How many failed tenants a wave may have: the larger number is not exceeded either. */
  readonly tolerated?: { readonly count?: number; readonly percent?: number };
  /** How many tenants of one host at a time. */
  readonly perHost?: number;
  readonly skip?: "ledger" | "none";
  readonly sample?: number;
  /** `part`: who is not in the list has not left the fleet. */
  readonly list?: "whole" | "part";
  readonly allowEmpty?: boolean;
  readonly gone?: "error" | "skip";
  readonly failOn?: "any" | "budget";
  readonly rehearse?: "canary" | "none";
}
