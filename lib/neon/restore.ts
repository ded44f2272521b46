import { type Branch, getProject, getProjectBranch, restoreProjectBranch } from "@neon/sdk/raw";
import { findByName, uniqueName } from "./branches.ts";
import { isUncertain, unavailable } from "./failure.ts";
import { type AwaitedWork, workOf } from "./operations.ts";
import { attempt, repeat, type Sender, waitOrFail } from "./send.ts";

/** The state that a branch gets back. */
export interface AskedRestore {
  readonly branchId: string;
  readonly at: { readonly lsn: string } | { readonly time: Date };
  /** The present state is kept in a branch whose name begins with it. */
  readonly preservePrefix: string;
}

/** A restore that has begun. */
export interface BegunRestore {
  readonly branchId: string;
  /** The branch that has the state from before the restore. */
  readonly preservedName: string;
  readonly work: AwaitedWork;
}

const WHAT = "restore the branch";

/**
 * Begins to give a branch an earlier state of its own, and keeps the present one. A call whose answer is lost may have been
 * carried out: then the branch with the kept state is there, and the call is not repeated.
 * @throws MigratorError with the code of the access, also for a protected branch
 */
export async function restoreBranch(sender: Sender, asked: AskedRestore): Promise<BegunRestore> {
  const { branchId, at, preservePrefix } = asked;
  const preservedName = uniqueName(preservePrefix);
  const path = { project_id: sender.access.projectId, branch_id: branchId };
  const body = {
    ...{ source_branch_id: branchId, preserve_under_name: preservedName },
    ...("lsn" in at ? { source_lsn: at.lsn } : { source_timestamp: at.time.toISOString() }),
  };
  for (let tries = 1, mayBeDone = false; ; tries += 1) {
    const outcome = await attempt(sender, ["operations"], (sent) =>
      restoreProjectBranch({ ...sent, path, body }),
    );
    if ("data" in outcome) {
      return { branchId, preservedName, work: workOf(branchId, outcome.data.operations) };
    }
    mayBeDone ||= isUncertain(outcome.refused);
    const preserved = mayBeDone ? await findByName(sender, preservedName) : null;
    if (preserved !== null) {
      return { branchId, preservedName, work: { branchId, since: preserved.created_at } };
    }
    await waitOrFail(sender, WHAT, outcome.refused, tries);
  }
}

/** Reads a branch. @throws MigratorError with the code of the access */
export async function readBranch(sender: Sender, id: string): Promise<Branch> {
  const path = { project_id: sender.access.projectId, branch_id: id };
  const { branch } = await repeat(sender, "read the branch", ["branch"], (sent) =>
    getProjectBranch({ ...sent, path }),
  );
  return branch;
}

/** Reads how far back the project can go, in seconds. @throws MigratorError with the code of the access */
export async function readRestoreWindow(sender: Sender): Promise<number> {
  const path = { project_id: sender.access.projectId };
  const { project } = await repeat(sender, "read the project", ["project"], (sent) =>
    getProject({ ...sent, path }),
  );
  return project.history_retention_seconds;
}

/** Refuses a branch that Neon protects. @throws MigratorError with the code of the access */
export function assertUnprotected({ access }: Sender, branch: Branch): void {
  if (!branch.protected) return;
  throw unavailable(
    access,
    `The branch ${branch.name} is protected. Take the protection away in Neon's console first.`,
  );
}
