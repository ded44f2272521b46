import { isRecord } from "../json.ts";
import { parseRequest } from "../request.ts";
import type { Caller } from "./caller.ts";
import { withPatience } from "./continuation.ts";

/**
 * A lifecycle hook of a CodeDeploy deployment. Nothing in its event is a request: it applies the pending migrations.
 * CodeDeploy waits for a call to its API, for an hour, and knows two answers.
 */
export function codedeploy(event: unknown): Caller | null {
  if (!isRecord(event)) return null;
  const { DeploymentId: deploymentId, LifecycleEventHookExecutionId: hookId } = event;
  if (typeof deploymentId !== "string" || typeof hookId !== "string") return null;
  return {
    source: "codedeploy",
    request: () => parseRequest(withPatience({})),
    prepare: loadBoth,
    respond: async (end) => (await import("./on-use.ts")).answerHook(deploymentId, hookId, end),
  };
}

/** Loads the answer and AWS' client. */
function loadBoth() {
  return Promise.all([import("./on-use.ts"), import("@aws-sdk/client-codedeploy")]);
}
