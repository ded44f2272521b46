import { readFile } from "node:fs/promises";

/** The kernel's unit for the time of processes: a hundredth of a second. */
const TICK_MS = 10;

/** Returns the processor time of a process, in ms. Linux only. */
export async function ownTime(pid: number): Promise<number> {
  const [user = 0, system = 0] = (await statistics(pid)).slice(11, 13);
  return (user + system) * TICK_MS;
}

/** Returns the processor time of the ended children of a process, in ms. Linux only. */
export async function endedTime(pid: number): Promise<number> {
  const [user = 0, system = 0] = (await statistics(pid)).slice(13, 15);
  return (user + system) * TICK_MS;
}

/** Returns the children of a process that has one thread, or forks in its first. Linux only. */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return children.trim().split(" ").filter(Boolean).map(Number);
}

/** Returns the time in which the processors of the machine were not idle, in ms, summed over them. Linux only. */
export async function busyTime(): Promise<number> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  // user, nice and system of proc_stat(5); what a virtual machine did not get is no time of a process.
  const [user = 0, nice = 0, system = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system) * TICK_MS;
}

/** Reads the fields of `/proc/<pid>/stat` behind the name of the program (proc_pid_stat(5), from field 3). */
async function statistics(pid: number): Promise<readonly number[]> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8");
  return line
    .slice(line.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
}
