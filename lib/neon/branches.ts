import { randomBytes } from "node:crypto";
import {
  type Branch,
  createProjectBranch,
  deleteProjectBranch,
  type Endpoint,
  listProjectBranchEndpoints,
  listProjectBranches,
} from "@neon/sdk/raw";
import { isUncertain } from "./failure.ts";
import { type AwaitedWork, workOf } from "./operations.ts";
import { attempt, repeat, type Sender, waitOrFail } from "./send.ts";

/** The branch that is asked for. */
export interface AskedBranch {
  /** The name begins with it. A random part behind it makes it ours, whatever became of the answer. */
  readonly prefix: string;
  readonly parentId: string;
  /**
   * The moment at which Neon deletes it; null keeps it. It goes with the creation, so that no kill of this process leaves a
   * branch.
   */
  readonly expiresAt: Date | null;
  /** The state of the parent. Default: that of this moment. */
  readonly at?: { readonly lsn: string } | { readonly time: Date };
  /** The size of its compute, in units. Default: that of the project. */
  readonly compute?: { readonly minCu: number; readonly maxCu: number };
  /** A note for people. */
  readonly note?: Readonly<Record<string, string>>;
}

/** A branch that was made, perhaps not ready yet. */
export interface MadeBranch {
  readonly id: string;
  readonly name: string;
  readonly parentId: string;
  /** The host of its endpoint. */
  readonly host: string;
  readonly endpointId: string;
  /** Null where nobody deletes it. */
  readonly expiresAt: string | null;
  readonly work: AwaitedWork;
}

/** Characters of a name (OpenAPI document, "BranchCreateRequest"). */
const MAX_NAME = 256;
const RANDOM_BYTES = 4;

/**
 * Makes a branch with an endpoint. A call whose answer is lost may have been carried out: the name is looked for before
 * the call is repeated, so there is never a second branch.
 * @throws MigratorError with the code of the access
 */
export async function createBranch(sender: Sender, asked: AskedBranch): Promise<MadeBranch> {
  const name = uniqueName(asked.prefix);
  const { projectId } = sender.access;
  const body = requestOf(asked, name);
  for (let tries = 1, mayBeThere = false; ; tries += 1) {
    const outcome = await attempt(sender, ["branch", "endpoints", "operations"], (sent) =>
      createProjectBranch({ ...sent, path: { project_id: projectId }, body }),
    );
    if ("data" in outcome) {
      const { branch, endpoints, operations } = outcome.data;
      return made(branch, endpoints, workOf(branch.id, operations));
    }
    mayBeThere ||= isUncertain(outcome.refused);
    if (mayBeThere) {
      const found = await findByName(sender, name);
      if (found !== null) return await adopt(sender, found);
    }
    await waitOrFail(sender, whatOf(asked), outcome.refused, tries);
  }
}

/** A size that the plan does not allow is refused, in words that do not say whose it is. */
function whatOf({ compute }: AskedBranch): string {
  if (compute === undefined) return "make a branch";
  return `make a branch with ${compute.minCu} to ${compute.maxCu} CU, as production has`;
}

/** What came of a deletion. It never fails a run that went well. */
export type Deletion =
  | { readonly deleted: true }
  | { readonly deleted: false; readonly reason: string };

/** Deletes a branch. One that is gone already counts as deleted. */
export async function deleteBranch(sender: Sender, id: string): Promise<Deletion> {
  const path = { project_id: sender.access.projectId, branch_id: id };
  try {
    // By its id it can be repeated: the second time it answers 204.
    await repeat(sender, "delete a branch", [], (sent) => deleteProjectBranch({ ...sent, path }));
    return { deleted: true };
  } catch (thrown) {
    return { deleted: false, reason: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** Finds a branch by its whole name; null without one. */
export async function findByName(sender: Sender, name: string): Promise<Branch | null> {
  const path = { project_id: sender.access.projectId };
  const { branches } = await repeat(sender, "list branches", ["branches"], (sent) =>
    listProjectBranches({ ...sent, path, query: { search: name } }),
  );
  return branches.find((each) => each.name === name) ?? null;
}

/** Makes a name that no other call has. */
export function uniqueName(prefix: string): string {
  const random = randomBytes(RANDOM_BYTES).toString("hex");
  return `${prefix.slice(0, MAX_NAME - random.length - 1)}-${random}`;
}

function requestOf(
  { parentId, expiresAt, at, compute, note }: AskedBranch,
  name: string,
): NonNullable<Parameters<typeof createProjectBranch>[0]["body"]> {
  return {
    branch: {
      ...{ name, parent_id: parentId },
      ...(expiresAt !== null && { expires_at: wholeSeconds(expiresAt) }),
      ...(at !== undefined && "lsn" in at && { parent_lsn: at.lsn }),
      ...(at !== undefined && "time" in at && { parent_timestamp: at.time.toISOString() }),
    },
    endpoints: [
      {
        type: "read_write",
        ...(compute !== undefined && {
          autoscaling_limit_min_cu: compute.minCu,
          autoscaling_limit_max_cu: compute.maxCu,
        }),
      },
    ],
    ...(note !== undefined && { annotation_value: note }),
  };
}

/** Neon takes an expiry in whole seconds. */
function wholeSeconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

async function adopt(sender: Sender, branch: Branch): Promise<MadeBranch> {
  const path = { project_id: sender.access.projectId, branch_id: branch.id };
  const { endpoints } = await repeat(
    sender,
    "list the endpoints of a branch",
    ["endpoints"],
    (sent) => listProjectBranchEndpoints({ ...sent, path }),
  );
  return made(branch, endpoints, { branchId: branch.id, since: branch.created_at });
}

function made(branch: Branch, endpoints: readonly Endpoint[], work: AwaitedWork): MadeBranch {
  const endpoint = endpoints.find((each) => each.branch_id === branch.id);
  return {
    id: branch.id,
    name: branch.name,
    parentId: branch.parent_id ?? "",
    host: endpoint?.host ?? "",
    endpointId: endpoint?.id ?? "",
    expiresAt: branch.expires_at ?? null,
    work,
  };
}
