import { type Amendment, amendLedger } from "../../lib/amend/amend.ts";
import type { AmendmentRequest } from "../../lib/amend/changes.ts";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { silentLog } from "../../lib/log.ts";
import type { Target } from "../../lib/target/target.ts";
import { expectAmendment } from "./report-schema.ts";

/** The settings of an amendment in a test. */
export interface AmendSettings {
  readonly write?: boolean;
  readonly lockTimeoutMs?: number;
}

/** Shows an amendment, or makes it, and checks the answer by the published schema. */
export async function amend(
  target: Target,
  bundle: Bundle,
  request: AmendmentRequest,
  { write = true, lockTimeoutMs = 60_000 }: AmendSettings = {},
): Promise<Amendment> {
  const options = { bundle, target, requestId: "amend", write, lockTimeoutMs, log: silentLog };
  return expectAmendment(JSON.parse(JSON.stringify(await amendLedger(request, options))));
}
