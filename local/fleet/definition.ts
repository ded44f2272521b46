import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../lib/package-root.ts";

/** Reads the machine of a fleet, the file that is deployed. */
export function machineDefinition(): unknown {
  return JSON.parse(readFileSync(join(packageRoot(), "infra/fleet.asl.json"), "utf8"));
}
