import type { Bundle } from "../bundle/bundle.ts";
import { identified } from "../ledger/explain.ts";
import { chooseHome, chooseWritePlace } from "../ledger/home.ts";
import type { Places } from "../ledger/read.ts";
import { matchRows } from "../plan/match.ts";
import { accept } from "./accept.ts";
import { baseline } from "./baseline.ts";
import {
  type AmendmentRequest,
  type Change,
  find,
  type Here,
  type Proposal,
  upTo,
} from "./changes.ts";
import { mergeLedgers } from "./merge-ledgers.ts";
import { resolve } from "./resolve.ts";

/**
 * Proposes the changes that an amendment would write. Pure. The changes touch only the ledger and its checkpoints.
 * @param role for the GRANTs in an error
 * @throws MigratorError `REQUEST_INVALID` for an impossible amendment, `MODIFIED` for a half-applied migration that
 *   was edited, and as `chooseHome`, `chooseWritePlace`
 */
export function proposeChanges(
  request: AmendmentRequest,
  bundle: Bundle,
  places: Places,
  role: string,
): Proposal {
  if (request.kind === "merge-ledgers") return mergeLedgers(bundle, places, role);
  const ledger = identified(chooseHome(places.homes, places.found, bundle.layout), bundle);
  const matching = matchRows(bundle, ledger.rows);
  const here: Here = { ledger, role, matching };
  const changes = propose(request, bundle, here);
  const creates = request.kind === "baseline" && changes.length > 0;
  const place = creates ? chooseWritePlace(ledger, role).place : ledger.place;
  return {
    changes,
    ledger: { ...place, format: ledger.format },
    warnings: [...ledger.warnings, ...matching.warnings],
  };
}

function propose(
  request: Exclude<AmendmentRequest, { readonly kind: "merge-ledgers" }>,
  bundle: Bundle,
  here: Here,
): readonly Change[] {
  switch (request.kind) {
    case "baseline":
      return baseline(upTo(bundle, request.to), here);
    case "accept":
      return accept(find(bundle, request.tag), here);
    case "resolve":
      return resolve(find(bundle, request.tag), here, request.as);
  }
}
