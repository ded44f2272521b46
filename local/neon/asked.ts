import { computeOf } from "./branching.ts";
import { type Aim, compareLsn, headOf, type Point } from "./history.ts";
import { type Branch, type Project, projectNow } from "./project.ts";
import { Refusal } from "./refusal.ts";

/** Neon keeps a branch that expires for 30 days at most. */
const LONGEST_LIFE_MS = 30 * 24 * 60 * 60 * 1_000;

/** Reads an expiry. @throws Refusal 400 for one that is past, too far away, or on a branch that must stay */
export function expiryOf(project: Project, asked: unknown, mustStay: boolean): Date | null {
  if (asked === undefined || asked === null) return null;
  const time = new Date(String(asked));
  const inMs = time.getTime() - projectNow(project).getTime();
  if (!(inMs > 0)) throw new Refusal(400, "expires_at must be in the future");
  if (inMs > LONGEST_LIFE_MS) throw new Refusal(400, "expires_at must be within 30 days");
  if (mustStay) {
    throw new Refusal(400, "expires_at cannot be set on a protected or default branch");
  }
  return time;
}

/** Reads the point of a branch that a call asks for. @throws Refusal 400 for one outside the history */
export async function aimOf(
  project: Project,
  source: Branch,
  lsn: unknown,
  timestamp: unknown,
): Promise<Aim> {
  if (typeof lsn !== "string" && typeof timestamp !== "string") return { kind: "head" };
  if (typeof lsn === "string" && typeof timestamp === "string") {
    throw new Refusal(400, "an LSN and a timestamp cannot be given together");
  }
  if (source.compute === null) throw new Refusal(412, "the source branch is not ready");
  const head = await headOf(computeOf(source));
  return typeof lsn === "string"
    ? aimAtPlace(project, head, lsn)
    : aimAtTime(project, head, new Date(String(timestamp)));
}

function aimAtPlace({ history }: Project, head: Point, lsn: string): Aim {
  if (!/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i.test(lsn)) throw new Refusal(400, "invalid LSN");
  if (compareLsn(lsn, history.start.lsn) < 0 || compareLsn(lsn, head.lsn) > 0) {
    throw new Refusal(400, "the LSN is outside the history retention window");
  }
  return { kind: "lsn", lsn };
}

function aimAtTime({ history, historySeconds }: Project, head: Point, time: Date): Aim {
  const window = head.time.getTime() - historySeconds * 1_000;
  const earliest = Math.max(history.start.time.getTime(), window);
  if (!(time.getTime() >= earliest && time <= head.time)) {
    throw new Refusal(400, "the timestamp is outside the history retention window");
  }
  return { kind: "time", time };
}
