import { answerCall, type CallOptions, type createHandler } from "../../lib/handler/handler.ts";

/** Makes a handler with parts that users do not choose. */
export function handlerWith(options: CallOptions): ReturnType<typeof createHandler> {
  return async (event, context) => {
    const { answer } = await answerCall(event, context, options);
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
}
