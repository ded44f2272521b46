import type { Bundle } from "../bundle/bundle.ts";
import type { Log } from "../log.ts";
import type { ObjectStore } from "./object-store.ts";
import type { TenantDependencies } from "./tenant.ts";

/** The needs of a step from outside. */
export interface FleetDependencies extends Pick<TenantDependencies, "resolve"> {
  readonly bundle: Bundle;
  readonly requestId: string;
  readonly log: Log;
  /** Epoch ms by which the step must have ended. */
  readonly deadline: number;
  /** Remembers a secret, so that no message shows it. */
  hide: (secret: string) => void;
}

/** The same, with the fleet's bucket. */
export interface StepDependencies extends FleetDependencies {
  readonly store: ObjectStore;
}
