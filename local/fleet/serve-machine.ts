import type { LocalLambda } from "../lambda/lambda.ts";
import type { ObjectStore } from "../s3/store.ts";
import { invokeLocally } from "../step-functions/invoke.ts";
import { type LocalStepFunctions, startStepFunctions } from "../step-functions/step-functions.ts";
import { machineDefinition } from "./definition.ts";

/** The bucket of the fleet. */
export const FLEET_BUCKET = "fleet";

/** Puts the state machine of a fleet in front of one function, whose newest code is its only version. */
export async function serveMachine(
  lambda: LocalLambda,
  s3: ObjectStore,
): Promise<LocalStepFunctions> {
  return await startStepFunctions({
    ...{ definition: machineDefinition(), s3 },
    substitutions: { FunctionArn: lambda.functionArn, Bucket: FLEET_BUCKET },
    invoke: invokeLocally([lambda]),
  });
}
