import type { ResourceRequest } from "../../local/cloudformation-response.ts";
import type { Outcome } from "../../local/lambda-sandbox.ts";

/** The service token of a resource that CDK's Provider framework answers for. */
export const FRAMEWORK_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:framework";

/**
 * What the framework's own function does with a request (aws-cdk-lib, `custom-resources/provider-framework`):
 * it passes all of it on, once more when the call fails, and sends the answer itself.
 */
export async function answerAsFramework(
  request: ResourceRequest,
  invoke: (event: ResourceRequest) => Promise<Outcome>,
): Promise<void> {
  const { LogicalResourceId, RequestId, StackId } = request;
  let outcome = await invoke(request);
  if (outcome.functionError !== null) outcome = await invoke(request);
  const failed = outcome.functionError !== null;
  const answer = {
    PhysicalResourceId: request.PhysicalResourceId ?? "CREATE_FAILED",
    ...(failed ? { Reason: JSON.stringify(outcome.payload) } : Object(outcome.payload)),
    Status: failed ? "FAILED" : "SUCCESS",
    LogicalResourceId,
    RequestId,
    StackId,
  };
  await fetch(request.ResponseURL, { method: "PUT", body: Buffer.from(JSON.stringify(answer)) });
}
