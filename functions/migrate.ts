/*
 * The Lambda entry. Lambda imports this file and calls `handler`; where answers are streamed, it calls `stream`. Both
 * answer the sender of the event with the report of a run. Everything else is in `lib/`, from `lib/handler/` downwards.
 */

import { readFileSync } from "node:fs";
import type { Bundle } from "../lib/bundle/bundle.ts";
import { readBundle } from "../lib/bundle/read-bundle.ts";
import { MigratorError } from "../lib/errors.ts";
import { createHandler } from "../lib/handler/handler.ts";
import { refuseTooLarge } from "../lib/handler/refuse-too-large.ts";
import { createStreamingHandler } from "../lib/handler/streaming-handler.ts";

/** Reads `bundle.json` beside this file. The handler calls it, because an error at import would reach no caller. */
function bundleBesideHandler(): Bundle {
  const file = new URL("./bundle.json", import.meta.url);
  refuseTooLarge(file);
  return readBundle(parse(read(file)));
}

function read(file: URL): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const message =
      'There is no bundle.json beside the handler. Make the asset with "neon-migrate bundle".';
    throw new MigratorError("BUNDLE_MISSING", message, { cause });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = 'bundle.json is not JSON. Make the asset again with "neon-migrate bundle".';
    throw new MigratorError("BUNDLE_INVALID", message, { cause });
  }
}

/** The function that Lambda calls. */
export const handler: ReturnType<typeof createHandler> = createHandler({
  bundle: bundleBesideHandler,
});

/** The function that Lambda calls where answers are streamed: its Function URL has the invoke mode `RESPONSE_STREAM`. */
export const stream: ReturnType<typeof createStreamingHandler> = createStreamingHandler({
  bundle: bundleBesideHandler,
});
