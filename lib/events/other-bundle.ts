import { asText } from "../json.ts";
import type { BundleHashes, Call } from "./caller.ts";
import type { readOther, staleBundle } from "./stale.ts";

/** Another bundle than ours: the hashes of ours, and what may be done about it. */
export interface Other {
  readonly ours: BundleHashes;
  readonly readOther: typeof readOther;
  readonly staleBundle: typeof staleBundle;
}

/**
 * Compares the hash that a caller names with our bundle's. A text that has not the form of one says nothing.
 * @returns what is to be done where the caller means another bundle; otherwise null
 */
export async function findOther(
  named: unknown,
  { bundleHashes }: Pick<Call, "bundleHashes">,
): Promise<Other | null> {
  if (!/^[0-9a-f]{64}$/.test(asText(named))) return null;
  const ours = await bundleHashes();
  if (named === ours.whole) return null;
  const onUse = await import("./on-use.ts");
  return { ours, readOther: onUse.readOther, staleBundle: onUse.staleBundle };
}
