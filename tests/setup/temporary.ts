import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { TestProject } from "vitest/node";

/**
 * Makes one folder for the temporary folders of CDK, which stay behind when a worker is killed. Its name has the number
 * of this process: the next run recognises the folder of a run that was killed, and removes it.
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

/** Whether a process runs; true for a number that is not that of a process. */
function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // The process may belong to another user.
    return Reflect.get(Object(thrown), "code") !== "ESRCH";
  }
}
