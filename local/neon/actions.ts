import { randomBytes } from "node:crypto";
import { aimOf, expiryOf } from "./asked.ts";
import { type Change, fill, remove, replace } from "./branching.ts";
import type { Answer, Call } from "./call.ts";
import { detailsOf } from "./connection-uri.ts";
import {
  type Branch,
  branchOf,
  childrenOf,
  defaultBranch,
  type Endpoint,
  inventId,
  makeEndpoint,
  type Project,
  projectNow,
} from "./project.ts";
import { LOCKED, Refusal } from "./refusal.ts";
import { annotationView, branchView, endpointView, type Json, operationView } from "./views.ts";
import { isBusy } from "./work.ts";

/** Makes a branch, with an endpoint where one is asked for. */
export async function createBranch({ project, faults, body }: Call): Promise<Answer> {
  const asked = Object(body.branch);
  const parent =
    typeof asked.parent_id === "string" && asked.parent_id !== ""
      ? branchOf(project, asked.parent_id)
      : defaultBranch(project);
  const endpoints = Array.isArray(body.endpoints) ? body.endpoints.map(Object) : [];
  if (parent.expiresAt !== null) {
    throw new Refusal(400, "cannot create a branch from a branch that has an expiration time");
  }
  const name = typeof asked.name === "string" ? asked.name : inventId("");
  assertNameFree(project, name);
  if (project.branches.size >= project.plan.branches) {
    throw new Refusal(422, "branches limit exceeded", "BRANCHES_LIMIT_EXCEEDED");
  }
  const isProtected = asked.protected === true;
  const expiresAt = expiryOf(project, asked.expires_at, isProtected);
  const aim = await aimOf(project, parent, asked.parent_lsn, asked.parent_timestamp);
  assertUnlocked(project);
  const branch = newBranch(project, { name, parentId: parent.id, isProtected, expiresAt });
  Object.assign(branch, { annotation: Object(body.annotation_value) });
  branch.parentTime = aim.kind === "time" ? aim.time : null;
  branch.passwords = parent.isProtected ? renewed(parent.passwords) : parent.passwords;
  const endpoint = newEndpoint(project, branch, endpoints);
  project.branches.set(branch.id, branch);
  if (endpoint !== null) project.endpoints.set(endpoint.id, endpoint);
  const change = fill({ project, faults }, branch, { parent, aim, endpoint });
  return { status: 201, body: createdView(project, { branch, endpoint, change }) };
}

/** Deletes a branch. One that is not there is no error. */
export function deleteBranch({ project, faults, path }: Call): Answer {
  const branch = project.branches.get(path.branch_id ?? "");
  if (branch === undefined) return { status: 204, body: null };
  const reason = keptBecause(project, branch);
  if (reason !== null) throw new Refusal(422, `cannot delete the branch: ${reason}`);
  assertUnlocked(project);
  const view = branchView(project, branch);
  return { status: 200, body: withOperations(project, view, remove({ project, faults }, branch)) };
}

/** Returns why a branch cannot be deleted; null for one that can. */
export function keptBecause(project: Project, branch: Branch): string | null {
  if (branch.parentId === null) return "it is a root branch";
  if (branch.isDefault) return "it is the default branch";
  if (branch.isProtected) return "it is protected";
  return childrenOf(project, branch.id).length > 0 ? "it has child branches" : null;
}

/** Replaces the data of a branch by an earlier state. */
export async function restoreBranch({ project, faults, path, body }: Call): Promise<Answer> {
  const branch = branchOf(project, path.branch_id);
  const source = branchOf(project, String(body.source_branch_id));
  if (branch.isProtected) throw new Refusal(422, "cannot restore a protected branch");
  const aim = await aimOf(project, source, body.source_lsn, body.source_timestamp);
  if (source === branch && aim.kind === "head") {
    throw new Refusal(400, "source_lsn or source_timestamp is required");
  }
  const name = String(body.preserve_under_name ?? "");
  const children = childrenOf(project, branch.id);
  if (name === "" && (source === branch || children.length > 0)) {
    throw new Refusal(400, "preserve_under_name is required");
  }
  if (name !== "") assertNameFree(project, name);
  assertUnlocked(project);
  const preserved = name === "" ? null : preserve(project, branch, name);
  branch.state = "resetting";
  const change = replace({ project, faults }, branch, { source, aim, preserved });
  return { status: 200, body: withOperations(project, branchView(project, branch), change) };
}

/** Changes a branch's name, protection or expiry. */
export function updateBranch({ project, path, body }: Call): Answer {
  const branch = branchOf(project, path.branch_id);
  const asked = Object(body.branch);
  const { name = branch.name, protected: isProtected = branch.isProtected, expires_at } = asked;
  if (name !== branch.name) assertNameFree(project, name);
  const expiresAt =
    expires_at === undefined
      ? branch.expiresAt
      : expiryOf(project, expires_at, isProtected || branch.isDefault);
  assertUnlocked(project);
  Object.assign(branch, { name, isProtected, updatedAt: new Date() });
  setExpiry(project, branch, expiresAt);
  return { status: 200, body: { branch: branchView(project, branch), operations: [] } };
}

/** Makes a branch the default one. */
export function setDefault({ project, path }: Call): Answer {
  const branch = branchOf(project, path.branch_id);
  assertUnlocked(project);
  for (const each of project.branches.values()) each.isDefault = each === branch;
  return { status: 200, body: { branch: branchView(project, branch), operations: [] } };
}

/** Returns one branch. */
export function getBranch({ project, path }: Call): Answer {
  const branch = branchOf(project, path.branch_id);
  return {
    status: 200,
    body: { branch: branchView(project, branch), annotation: annotationView(branch) },
  };
}

function assertUnlocked(project: Project): void {
  if (isBusy(project)) throw LOCKED;
}

function assertNameFree({ branches }: Project, name: string): void {
  if ([...branches.values()].some((each) => each.name === name)) {
    throw new Refusal(409, "branch with the provided name already exists", "BRANCH_ALREADY_EXISTS");
  }
}

function newBranch(
  project: Project,
  of: Pick<Branch, "name" | "parentId" | "isProtected" | "expiresAt">,
): Branch {
  const now = new Date();
  const branch: Branch = {
    ...{ id: inventId("br-"), ...of, parentLsn: null, parentTime: null, state: "init" },
    ...{ isDefault: false, lifetimeSeconds: null, lastResetAt: null, annotation: {} },
    ...{ createdAt: now, updatedAt: now, stateChangedAt: now },
    ...{ passwords: new Map(), compute: null },
  };
  setExpiry(project, branch, of.expiresAt);
  return branch;
}

function setExpiry(project: Project, branch: Branch, expiresAt: Date | null): void {
  branch.expiresAt = expiresAt;
  branch.lifetimeSeconds =
    expiresAt === null
      ? null
      : Math.round((expiresAt.getTime() - projectNow(project).getTime()) / 1_000);
}

/** Gives the present data of a branch to a new one, and the children with it. */
function preserve(project: Project, branch: Branch, name: string): Branch {
  const { parentId } = branch;
  const preserved = newBranch(project, { name, parentId, isProtected: false, expiresAt: null });
  preserved.parentLsn = branch.parentLsn;
  preserved.parentTime = branch.parentTime;
  preserved.passwords = branch.passwords;
  for (const child of childrenOf(project, branch.id)) child.parentId = preserved.id;
  project.branches.set(preserved.id, preserved);
  return preserved;
}

function newEndpoint(project: Project, branch: Branch, asked: readonly Json[]): Endpoint | null {
  const [first, second] = asked;
  if (first === undefined) return null;
  if (second !== undefined) throw new Refusal(400, "only one endpoint per branch is served here");
  const { plan } = project;
  const [minCu = 0.25, maxCu = minCu, suspendSeconds = 0] = [
    first.autoscaling_limit_min_cu,
    first.autoscaling_limit_max_cu,
    first.suspend_timeout_seconds,
  ].map((each) => (each === undefined ? undefined : Number(each)));
  if (maxCu > plan.computeUnits) {
    throw new Refusal(422, `autoscaling_limit_max_cu must not be above ${plan.computeUnits}`);
  }
  if (suspendSeconds !== 0 && !plan.suspension) {
    throw new Refusal(422, "the suspend timeout cannot be changed on this plan");
  }
  return makeEndpoint(project, branch.id, { minCu, maxCu, suspendSeconds });
}

/** Makes other passwords for the same roles, as a child of a protected branch gets them. */
function renewed(passwords: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...passwords.keys()].map((role) => [role, randomBytes(12).toString("hex")]));
}

function withOperations(project: Project, branch: Json, { operations }: Change): Json {
  return { branch, operations: operations.map((each) => operationView(project, each)) };
}

function createdView(
  project: Project,
  { branch, endpoint, change }: { branch: Branch; endpoint: Endpoint | null; change: Change },
): Json {
  const times = { created_at: branch.createdAt, updated_at: branch.createdAt };
  const roles = [...branch.passwords.keys()];
  const [only, another] = roles;
  const owner = only ?? "";
  return {
    ...withOperations(project, branchView(project, branch), change),
    endpoints: endpoint === null ? [] : [endpointView(project, endpoint)],
    roles: roles.map((name) => ({ branch_id: branch.id, name, protected: false, ...times })),
    databases: [
      { id: 1, branch_id: branch.id, name: project.database, owner_name: owner, ...times },
    ],
    ...(endpoint !== null &&
      another === undefined && { connection_uris: [detailsOf(project, branch, endpoint, owner)] }),
  };
}
