import { CALLBACK_CLIENT } from "../aws-client.ts";
import { isRecord } from "../json.ts";
import { parseRequest } from "../request.ts";
import { callBack } from "./callback.ts";
import type { Caller } from "./caller.ts";
import { withPatience } from "./continuation.ts";

/** The error by which CodeDeploy says that the hook was answered before. */
const SETTLED = ["LifecycleEventAlreadyCompletedException"];

/**
 * A lifecycle hook of a CodeDeploy deployment. Nothing in its event is a request: it applies what is
 * pending. CodeDeploy waits for a call to its API, for an hour, and knows two answers.
 */
export function codedeploy(event: unknown): Caller | null {
  if (!isRecord(event)) return null;
  const { DeploymentId: deploymentId, LifecycleEventHookExecutionId: hookId } = event;
  if (typeof deploymentId !== "string" || typeof hookId !== "string") return null;
  return {
    source: "codedeploy",
    request: () => parseRequest(withPatience({})),
    prepare: loadSdk,
    respond: ({ report, call }) =>
      callBack(
        "CodeDeploy",
        async (abortSignal) => {
          const { CodeDeployClient, PutLifecycleEventHookExecutionStatusCommand } = await loadSdk();
          const command = new PutLifecycleEventHookExecutionStatusCommand({
            deploymentId,
            lifecycleEventHookExecutionId: hookId,
            status: report?.status === "failed" ? "Failed" : "Succeeded",
          });
          return await new CodeDeployClient(CALLBACK_CLIENT).send(command, { abortSignal });
        },
        { deadline: call.answerBy, settled: SETTLED },
      ),
  };
}

function loadSdk() {
  return import("@aws-sdk/client-codedeploy");
}
