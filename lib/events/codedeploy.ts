import { CALLBACK_CLIENT } from "../aws-client.ts";
import { isRecord } from "../json.ts";
import { parseRequest } from "../request.ts";
import { callBack } from "./callback.ts";
import type { EventSource } from "./caller.ts";
import { withPatience } from "./continuation.ts";

interface HookEvent {
  readonly DeploymentId: string;
  readonly LifecycleEventHookExecutionId: string;
}

/** What CodeDeploy says when the hook was answered before. */
const SETTLED = ["LifecycleEventAlreadyCompletedException"];

/**
 * A lifecycle hook of a CodeDeploy deployment. Nothing in its event is a request: it applies what is
 * pending. CodeDeploy waits for a call to its API, for an hour, and knows two answers.
 */
export const codedeploy: EventSource<HookEvent> = {
  name: "codedeploy",

  matches(event): event is HookEvent {
    return (
      isRecord(event) &&
      typeof event.DeploymentId === "string" &&
      typeof event.LifecycleEventHookExecutionId === "string"
    );
  },

  toRequest: () => parseRequest(withPatience({})),

  prepare: loadSdk,

  respond({ DeploymentId, LifecycleEventHookExecutionId }, report, _context, deadline) {
    const status = report?.status === "failed" ? "Failed" : "Succeeded";
    return callBack(
      "CodeDeploy",
      async (abortSignal) => {
        const { CodeDeployClient, PutLifecycleEventHookExecutionStatusCommand } = await loadSdk();
        const command = new PutLifecycleEventHookExecutionStatusCommand({
          deploymentId: DeploymentId,
          lifecycleEventHookExecutionId: LifecycleEventHookExecutionId,
          status,
        });
        return await new CodeDeployClient(CALLBACK_CLIENT).send(command, { abortSignal });
      },
      { deadline, settled: SETTLED },
    );
  },
};

function loadSdk() {
  return import("@aws-sdk/client-codedeploy");
}
