import { CALLBACK_CLIENT } from "../aws-client.ts";
import { callBack } from "./callback.ts";
import type { End } from "./caller.ts";

/** The error by which CodeDeploy says that the hook was answered before. */
const SETTLED = ["LifecycleEventAlreadyCompletedException"];
const RIGHTS = "codedeploy:PutLifecycleEventHookExecutionStatus on the deployment group";

/** Tells CodeDeploy how a hook ended. @throws MigratorError as `callBack` */
export function answerHook(
  deploymentId: string,
  hookId: string,
  { report, call }: End,
): ReturnType<typeof callBack> {
  const status = report?.status === "failed" ? "Failed" : "Succeeded";
  return callBack(
    "CodeDeploy",
    async (abortSignal) => {
      const { CodeDeployClient, PutLifecycleEventHookExecutionStatusCommand } = await import(
        "@aws-sdk/client-codedeploy"
      );
      const command = new PutLifecycleEventHookExecutionStatusCommand({
        ...{ deploymentId, lifecycleEventHookExecutionId: hookId, status },
      });
      return await new CodeDeployClient(CALLBACK_CLIENT).send(command, { abortSignal });
    },
    { deadline: call.answerBy, log: call.log, rights: RIGHTS, settled: SETTLED },
  );
}
