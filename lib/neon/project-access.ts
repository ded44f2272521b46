import type { ErrorCode } from "../errors.ts";
import { pause } from "../wait.ts";

/** The way to one project of Neon. */
export interface ProjectAccess {
  /** The API key. It goes nowhere but into the calls' `Authorization`. */
  readonly key: string;
  /** Null where nobody knows it: then `findProduction` looks for it. */
  readonly projectId: string | null;
  /** The API's address (`NEON_API_URL`). Default: {@link NEON_API_URL}. */
  readonly url?: string | null;
  /** Epoch ms after which no call begins or goes on. */
  readonly deadline: number;
  /** The code of every failure: the caller knows what cannot be done without the API. */
  readonly code: ErrorCode;
  /** Default: the time of this machine. */
  readonly clock?: Clock;
}

/** The way to a project whose id is known; it is empty until it is found. */
export type KnownAccess = ProjectAccess & { readonly projectId: string };

/** The time, so that a test need not wait. */
export interface Clock {
  now(): number;
  pause(ms: number): Promise<void>;
}

/** The address of Neon's API, version 2 (OpenAPI document of `@neondatabase/api-client` 2.7.3, "servers"). */
export const NEON_API_URL = "https://console.neon.tech/api/v2";

/** The time of this machine. */
export const REAL_CLOCK: Clock = { now: Date.now, pause };
