import type { TargetReference } from "../target-reference.ts";

/** The input of an execution: which databases, in which order, and how many may fail. */
export interface FleetRequest {
  readonly targets: TargetSource;
  /** The fields of an ordinary request that every tenant gets, as they were sent. Default: none. */
  readonly request: Readonly<Record<string, unknown>>;
  /** The waves, in their order. Default: one with everybody. */
  readonly waves: readonly AskedWave[];
  /** The most tenants at a time. Default: 50. */
  readonly maxConcurrency: number;
  /** The failures that a wave may have: the larger of the two. Default: none. */
  readonly tolerated: { readonly count: number; readonly percent: number };
  /** The most tenants of one compute at a time. Null: as many as the wave allows. */
  readonly perHost: number | null;
  /** Whether tenants are left out that the fleet's ledger knows as up to date. Default: `ledger`. */
  readonly skip: "ledger" | "none";
  /** The part of those left out that is asked all the same, from 0 to 1. Default: 0.01. */
  readonly sample: number;
  /** `part`: the list is not all that its source has, so that nobody has left who is not in it. Default: `whole`. */
  readonly list: "whole" | "part";
  /** Whether a list without any tenant is fine. Default: false. */
  readonly allowEmpty: boolean;
  /** Whether a tenant that is gone counts as a failure. Default: `error`. */
  readonly gone: "error" | "skip";
  /** `any`: the execution fails where one tenant failed; `budget`: where a wave went over its budget. Default: `any`. */
  readonly failOn: "any" | "budget";
  /** `canary`: the first tenant of the first wave is rehearsed on a branch first. Default: `none`. */
  readonly rehearse: "canary" | "none";
}

/** The place of the list of tenants. */
export type TargetSource =
  | { readonly inline: readonly unknown[] }
  | { readonly s3: { readonly bucket: string; readonly key: string } }
  | { readonly sql: { readonly target: TargetReference; readonly query: string } }
  | {
      readonly neon: {
        readonly organization: string;
        readonly database: string;
        readonly role: string;
      };
    };

/** One wave as it is asked for: tenants by their ids, a number of those that are left, or a part of all. */
export type AskedWave = { readonly pauseSeconds: number } & (
  | { readonly tenants: readonly string[] }
  | { readonly count: number }
  | { readonly percent: number }
);
