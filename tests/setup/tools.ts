import { spawnSync } from "node:child_process";

/** Whether this machine has a program. Tests that need a missing program are left out. */
export function hasTool(name: string): boolean {
  return spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0;
}
