import { existsSync, statfsSync } from "node:fs";

const MEMORY = "/dev/shm";
const MEMORY_NEEDED = 2 ** 30;

/** Has databases in memory where the system offers it: a new one then takes 30 ms instead of 300. */
export function preferMemory(): void {
  if (!existsSync(MEMORY)) return;
  const { bavail, bsize } = statfsSync(MEMORY);
  // Read by `os.tmpdir()`, which decides where a local PostgreSQL puts its data.
  if (bavail * bsize > MEMORY_NEEDED) process.env.TMPDIR = MEMORY;
}
