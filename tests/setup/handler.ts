import { answerCall, type CallOptions, type createHandler } from "../../lib/handler/handler.ts";

/** A handler with the parts that users do not choose. */
export function handlerWith(options: CallOptions): ReturnType<typeof createHandler> {
  return async (event, context) => {
    const { answer } = await answerCall(event, context, options);
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
}
