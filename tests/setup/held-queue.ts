import { type LocalLambdaService, startLambdaService } from "../../local/lambda/service.ts";
import type { Deployment } from "./deployment.ts";

/** Lambda's API in front of a function whose queue delivers nothing by itself. A test decides when to deliver. */
export interface HeldQueue
  extends Pick<LocalLambdaService, "environment" | "deny" | "refuse" | "cut" | "stop"> {
  /** The queued events in order, each with the ARN of its function. */
  readonly held: readonly { readonly functionArn: string; readonly event: unknown }[];
}

/** Starts Lambda's API for a function that is deployed under this ARN. */
export async function startHeldQueue({
  functionArn,
}: Pick<Deployment, "functionArn">): Promise<HeldQueue> {
  const service = await startLambdaService();
  const held = {
    functionArn,
    invoke: () => Promise.reject(new Error("Nobody here invokes and waits.")),
    invokeAsync: () => Promise.resolve([]),
    freeze: () => undefined,
    stop: () => Promise.resolve(),
  };
  service.deploy(held, { aliases: ["live"] });
  return { ...service, held: service.calls };
}
