import { asRecord, isRecord } from "../json.ts";
import { parseRequest } from "../request.ts";
import { refuseMistyped } from "../unknown-fields.ts";
import type { Caller } from "./caller.ts";
import { nextCallBy, readContinuation, remainderOf, withPatience } from "./continuation.ts";

type HookEvent = Readonly<Record<string, unknown>>;

/** The seconds until ECS calls again: its own default, said aloud. */
const CALL_BACK_DELAY_S = 30;

/** Under this name the state of a run travels through ECS and back, beside the hook's own details. */
const STATE = "neonMigrations";

/** The stages that ECS runs once more when it rolls back, each with the name of the weights of its traffic. */
const RECURRING: ReadonlyMap<unknown, string> = new Map([
  ["TEST_TRAFFIC_SHIFT", "testTrafficWeights"],
  ["PRODUCTION_TRAFFIC_SHIFT", "productionTrafficWeights"],
]);

/**
 * A lifecycle hook of an ECS deployment. ECS reads `hookStatus` from what the function returns, and rolls
 * back without one: so it never throws. `hookDetails` of the hook's configuration are the request.
 */
export function ecs(event: unknown): Caller | null {
  if (!isRecord(event)) return null;
  if (typeof deploymentIn(event).targetServiceRevisionArn !== "string") return null;
  const requestIn = () => {
    refuseMistyped(detailsIn(event), [STATE]);
    return parseRequest(withPatience(event.hookDetails ?? {}));
  };
  const continuationIn = (now: number) => readContinuation(detailsIn(event)[STATE], now);
  return {
    source: "ecs",
    request() {
      if (isRollback(event)) return null;
      const now = Date.now();
      return remainderOf(requestIn(), continuationIn(now), now);
    },
    /** A hook may take a day: the run goes on in another call rather than fail for want of time. */
    nextCall: nextCallBy(requestIn, continuationIn),
    respond({ report, next }) {
      if (report?.status !== "failed") return { hookStatus: "SUCCEEDED" };
      if (next === null) return { hookStatus: "FAILED" };
      const hookDetails = { ...detailsIn(event), [STATE]: next };
      return { hookStatus: "IN_PROGRESS", callBackDelay: CALL_BACK_DELAY_S, hookDetails };
    },
  };
}

/** The fields of the deployment; the first form of the payload had them beside the others. */
function deploymentIn(event: HookEvent): HookEvent {
  return isRecord(event.executionDetails) ? event.executionDetails : event;
}

function detailsIn({ hookDetails }: HookEvent): HookEvent {
  return asRecord(hookDetails);
}

/**
 * Whether the traffic goes back from the revision that this deployment is for. No field says so. Before its shift a
 * revision has no traffic either, but that is in other stages (ECS guide, "Lambda hooks").
 */
function isRollback(event: HookEvent): boolean {
  const weightsName = RECURRING.get(event.lifecycleStage);
  const deployment = deploymentIn(event);
  const weights = weightsName === undefined ? null : deployment[weightsName];
  const target = deployment.targetServiceRevisionArn;
  return isRecord(weights) && weights[String(target)] === 0;
}
