import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { TestProject } from "vitest/node";

/**
 * A place for what CDK leaves behind: each synthesis makes folders that nobody removes where workers are killed.
 * It carries the number of this process, so that the place of a run that was killed is known, and removed by the next.
 */
export function setup({ config }: TestProject): () => void {
  const folder = config.env.TMPDIR;
  if (typeof folder !== "string") throw new Error("The project names no TMPDIR.");
  const [parent, prefix] = [dirname(folder), basename(folder).replace(String(process.pid), "")];
  for (const name of readdirSync(parent)) {
    if (name.startsWith(prefix) && !isAlive(Number(name.slice(prefix.length)))) {
      remove(join(parent, name));
    }
  }
  mkdirSync(folder, { recursive: true });
  return () => remove(folder);
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Whether a process runs; true for what is no number of a process. */
function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // It may be another user's.
    return Reflect.get(Object(thrown), "code") !== "ESRCH";
  }
}
