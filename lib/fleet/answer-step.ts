import { MigratorError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Report } from "../report/report.ts";
import { oneLine, shortened } from "../text.ts";
import { runStep } from "./fleet.ts";
import type { FleetDependencies } from "./fleet-dependencies.ts";

/** Step Functions takes 32,768 characters of an error's cause, which is JSON with the message in it. */
const MAX_MESSAGE = 4_000;

/** The call of the function by which a step came; see `Call`. */
export interface StepCall {
  readonly context: { readonly awsRequestId: string };
  readonly log: Log;
  readonly answerBy: number;
  bundle(): Promise<FleetDependencies["bundle"]>;
  failed(reason: unknown): Report;
  hide: (secret: string) => void;
  readonly resolve: FleetDependencies["resolve"];
}

/**
 * Does a step of a fleet's run, and returns its answer.
 * @throws MigratorError whose name is the code, as the machine reads it; no message shows a secret, or data of a database:
 *   everyone can read it who may look at an execution. The log has the whole one
 */
export async function answerStep(step: unknown, call: StepCall): Promise<unknown> {
  try {
    return await runStep(step, {
      ...{ bundle: await call.bundle(), requestId: call.context.awsRequestId, log: call.log },
      ...{ deadline: call.answerBy, hide: call.hide },
      resolve: call.resolve,
    });
  } catch (thrown) {
    const { error } = call.failed(thrown);
    const code = error?.code ?? "INTERNAL";
    call.log("fleet.failed", { code, message: error?.message });
    const { message = "", publicMessage = "" } = error ?? {};
    const said =
      publicMessage === message ? message : `${publicMessage} The function's log has all of it.`;
    const failed = new MigratorError(code, shortened(oneLine(said), MAX_MESSAGE));
    failed.stack = "";
    throw failed;
  }
}
