/*
 * The Lambda entry. Lambda imports this file and calls `handler`; where answers are streamed, it calls `stream`. Both
 * answer the sender of the event with the report of a run. Everything else is in `lib/`, from `lib/handler/` downwards.
 */

import type { Bundle } from "../lib/bundle/bundle.ts";
import { openBundle } from "../lib/bundle/open-bundle.ts";
import { createHandler } from "../lib/handler/handler.ts";
import { refuseTooLarge } from "../lib/handler/refuse-too-large.ts";
import { createStreamingHandler } from "../lib/handler/streaming-handler.ts";

/** The bundle of this process, which serves one deployment. A warm call, such as the next tenant's, opens nothing. */
let kept: Bundle | null = null;

/** Opens the bundle beside this file. The handler calls it, because an error at import would reach no caller. */
function bundleBesideHandler(): Bundle {
  kept ??= openBesideHandler();
  return kept;
}

function openBesideHandler(): Bundle {
  const file = new URL("./bundle.json", import.meta.url);
  refuseTooLarge(file);
  return openBundle(file);
}

/** The function that Lambda calls. */
export const handler: ReturnType<typeof createHandler> = createHandler({
  bundle: bundleBesideHandler,
});

/** The function that Lambda calls where answers are streamed: its Function URL has the invoke mode `RESPONSE_STREAM`. */
export const stream: ReturnType<typeof createStreamingHandler> = createStreamingHandler({
  bundle: bundleBesideHandler,
});
