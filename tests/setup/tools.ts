import { spawnSync } from "node:child_process";

/** Whether this machine has a program that some tests are made of: where it has not, they are left out. */
export function hasTool(name: string): boolean {
  return spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0;
}
