import { listProjectOperations, type Operation } from "@neon/sdk/raw";
import { unavailable } from "./failure.ts";
import { REAL_CLOCK } from "./project-access.ts";
import { repeat, type Sender } from "./send.ts";

/** The statuses that will not change any more (OpenAPI document, "OperationStatus"). */
const WELL: readonly string[] = ["finished", "skipped"];
const BADLY: readonly string[] = ["failed", "error", "cancelled"];

/**
 * The waits between the looks; the last one again and again. Neon takes about a second for a branch. Four looks see one that
 * takes 8.5 s, and then a rehearsal has made eight calls.
 */
const WAITS_MS = [500, 1_000, 2_000, 5_000];
const LAST_WAIT_MS = 10_000;
/** Operations that one call lists, newest first. */
const LISTED = 100;

/** The operations of a branch to wait for: those of an answer, or where that was lost, those since a moment. */
export type AwaitedWork = { readonly branchId: string } & (
  | { readonly ids: readonly string[] }
  /** The time by Neon's clock, as the API writes it. */
  | { readonly since: string }
);

/** Returns the work that an answer names. */
export function workOf(
  branchId: string,
  operations: readonly { readonly id: string }[],
): AwaitedWork {
  return { branchId, ids: operations.map(({ id }) => id) };
}

/**
 * Waits until operations have ended. One call asks for all of them.
 * @throws MigratorError with the code of the access: where one ends badly, with Neon's own words, or where time is over
 */
export async function untilEnded(sender: Sender, work: AwaitedWork): Promise<void> {
  const { branchId } = work;
  const { deadline, clock = REAL_CLOCK } = sender.access;
  for (let looks = 0; ; looks += 1) {
    const waitMs = WAITS_MS[looks] ?? LAST_WAIT_MS;
    if (clock.now() + waitMs >= deadline) {
      throw unavailable(
        sender.access,
        `Neon did not finish its work on the branch ${branchId} in the time that there was. Try again later.`,
        true,
      );
    }
    await clock.pause(waitMs);
    const counted = await operationsOf(sender, work);
    const bad = counted.find(({ status }) => BADLY.includes(status));
    if (bad !== undefined) throw badEnd(sender, bad);
    // An operation that the list lacks has not been seen to end.
    const isWhole = "ids" in work ? counted.length >= work.ids.length : counted.length > 0;
    if (isWhole && counted.every(({ status }) => WELL.includes(status))) return;
  }
}

async function operationsOf(sender: Sender, work: AwaitedWork): Promise<readonly Operation[]> {
  const path = { project_id: sender.access.projectId };
  const { operations } = await repeat(sender, "list operations", ["operations"], (sent) =>
    listProjectOperations({ ...sent, path, query: { limit: LISTED } }),
  );
  return operations.filter(({ id, branch_id, created_at }) => {
    if ("ids" in work) return work.ids.includes(id);
    return branch_id === work.branchId && Date.parse(created_at) >= Date.parse(work.since);
  });
}

function badEnd({ access }: Sender, { action, status, error, branch_id }: Operation): Error {
  const words = error === undefined || error === "" ? "" : `: ${error}`;
  return unavailable(
    access,
    `Neon's operation ${action} on the branch ${branch_id} ended as ${status}${words.replace(/\.$/, "")}. Try again; neonstatus.com says whether Neon has a problem.`,
    true,
  );
}
