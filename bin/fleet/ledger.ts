import { asRecord, asText, parseJson } from "../../lib/json.ts";
import type { LedgerFacts } from "./answer.ts";
import type { Cloud } from "./cloud.ts";

const LEDGER = "ledger.jsonl";

/** Reads how the tenants stand in the fleet's ledger, which wakes no database. @returns null where there is none */
export async function readLedger(cloud: Cloud, bucket: string): Promise<LedgerFacts | null> {
  const text = await cloud.read(bucket, LEDGER);
  if (text === null) return null;
  const versions = new Map<string, number>();
  let tenants = 0;
  for (const line of text.split("\n")) {
    const { id, hash, latest } = asRecord(parseJson(line));
    // Of a tenant without a hash nothing is known, or it has left its list.
    if (typeof id !== "string" || typeof hash !== "string") continue;
    tenants += 1;
    const version = asText(latest) === "" ? "none" : asText(latest);
    versions.set(version, (versions.get(version) ?? 0) + 1);
  }
  return { tenants, versions: Object.fromEntries([...versions].toSorted(([, a], [, b]) => b - a)) };
}
