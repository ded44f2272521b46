import type { Connection } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import { findHolder } from "../ledger/lock.ts";
import { describeQuery, describeSession } from "../postgres/activity.ts";
import type { ConfiguredLedger } from "../target/target.ts";
import type { Point } from "./point.ts";

const HOUR_SECONDS = 3_600;

/** Proves that Neon still has the state of a point. @throws MigratorError `RESTORE_OUTSIDE_WINDOW` */
export function assertInWindow({ time, run }: Point, agoMs: number, windowSeconds: number): void {
  // The server wrote the time of a run. Its clock may be ahead of ours.
  if (agoMs < 0 && run === null) {
    throw new MigratorError("RESTORE_OUTSIDE_WINDOW", `The time ${time} is in the future.`);
  }
  if (agoMs <= windowSeconds * 1_000) return;
  const hours = Number((windowSeconds / HOUR_SECONDS).toFixed(1));
  throw new MigratorError(
    "RESTORE_OUTSIDE_WINDOW",
    `The state of ${time} is older than Neon keeps it for this project, which is ${hours} h. Write a new migration that takes the change back. A longer restore window is a setting of the project in Neon's console; it helps from then on.`,
  );
}

/** Makes the failure of a restore that Neon would refuse. */
export function protectedBranch(name: string): MigratorError {
  return new MigratorError(
    "RESTORE_PROTECTED",
    `The branch ${name} is protected, so Neon does not restore it. Take the protection away in Neon's console, and protect it again afterwards. Without --in-place the state comes in a new branch.`,
  );
}

/** Makes the failure of a restore beside a run: it would end the run in the middle. */
export async function runUnderWay(
  connection: Connection,
  ledger: ConfiguredLedger,
): Promise<MigratorError> {
  const holder = await findHolder(connection, ledger);
  const who = holder === undefined ? "It has just ended." : `It is ${describeSession(holder)}.`;
  return new MigratorError(
    "LOCKED",
    `A run is under way and holds the migration lock. ${who} Restore when it is over.`,
    { retryable: true, withheld: holder === undefined ? [] : describeQuery(holder) },
  );
}
