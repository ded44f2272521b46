import { hostname, userInfo } from "node:os";
import type { CallerFacts } from "../lib/request.ts";

/** Describes who uses the command line: the user of this machine, for the history. */
export function caller(): CallerFacts {
  return { source: "cli", user: userName(), host: hostname() };
}

/** A container may run under a number that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}
