import { escapeIdentifier, escapeLiteral } from "pg";
import { hasEnded } from "../postgres/server.ts";
import { adminOf, type Compute, discard, halt, resume } from "./compute.ts";
import type { Faults } from "./faults.ts";
import { type Aim, prepare, recover } from "./history.ts";
import {
  addOperation,
  type Branch,
  type Endpoint,
  endpointOf,
  type Operation,
  type Project,
} from "./project.ts";
import { carryOut } from "./work.ts";

/** The operations of a change, and the promise of their end, which never rejects. */
export interface Change {
  readonly operations: readonly Operation[];
  readonly ended: Promise<void>;
}

/** Fills a new branch with the data of its parent, and starts its server. */
export function fill(
  { project, faults }: { readonly project: Project; readonly faults: Faults },
  branch: Branch,
  { parent, aim, endpoint }: { parent: Branch; aim: Aim; endpoint: Endpoint | null },
): Change {
  const data = async () => {
    const { compute, lsn } = await copyOf(project, computeOf(parent), aim);
    branch.compute = compute;
    branch.parentLsn = lsn;
    if (branch.passwords !== parent.passwords) await setPasswords(compute, branch.passwords);
    branch.state = "ready";
    branch.stateChangedAt = new Date();
  };
  const wake = () => {
    if (endpoint !== null) endpoint.state = "active";
  };
  const steps = [
    { operation: addOperation(project, "create_branch", branch.id), act: data },
    ...(endpoint === null
      ? []
      : [
          {
            operation: addOperation(project, "start_compute", branch.id, endpoint.id),
            act: wake,
          },
        ]),
  ];
  return { operations: steps.map(({ operation }) => operation), ended: carryOut(faults, steps) };
}

/** Ends a branch's server and deletes its data. The branch is off the lists at once, and back where that fails. */
export function remove(
  { project, faults }: { readonly project: Project; readonly faults: Faults },
  branch: Branch,
): Change {
  const endpoint = endpointOf(project, branch.id);
  project.branches.delete(branch.id);
  if (endpoint !== undefined) project.endpoints.delete(endpoint.id);
  const steps = [
    ...(endpoint === undefined
      ? []
      : [
          {
            operation: addOperation(project, "suspend_compute", branch.id, endpoint.id),
            act: async () => {
              if (branch.compute !== null) await halt(branch.compute);
            },
          },
        ]),
    {
      operation: addOperation(project, "delete_timeline", branch.id),
      act: async () => {
        if (branch.compute !== null) await discard(branch.compute);
        branch.compute = null;
      },
    },
  ];
  const undo = async () => {
    project.branches.set(branch.id, branch);
    if (endpoint !== undefined) project.endpoints.set(endpoint.id, endpoint);
    const { compute } = branch;
    if (compute !== null && hasEnded(compute.server.process)) await resume(compute, null);
  };
  const ended = carryOut(faults, steps, undo);
  return { operations: steps.map(({ operation }) => operation), ended };
}

/**
 * Replaces the data of a branch by the state of another, or its own, at a point. Every session is ended, and the endpoint
 * and the port stay. Where it fails, the branch has its old data.
 * @param preserved the branch that gets the old data; null lets it be deleted
 */
export function replace(
  { project, faults }: { readonly project: Project; readonly faults: Faults },
  branch: Branch,
  { source, aim, preserved }: { source: Branch; aim: Aim; preserved: Branch | null },
): Change {
  const endpoint = endpointOf(project, branch.id)?.id ?? null;
  const old = computeOf(branch);
  const { port } = old.server;
  const { parentId, parentLsn, parentTime, passwords } = branch;
  const before = { parentId, parentLsn, parentTime, passwords, compute: old, state: "ready" };
  const restore = async () => {
    const prepared = await prepare(project.history, computeOf(source), aim);
    await halt(old);
    const password = project.superuserPassword;
    const { compute, lsn } = await recover(project.history, prepared, { password, port }).catch(
      async (thrown: unknown) => {
        await prepared.place.guard.release();
        throw thrown;
      },
    );
    branch.compute = compute;
    branch.parentLsn = lsn;
    branch.parentTime = aim.kind === "time" ? aim.time : null;
    branch.parentId = source === branch ? (preserved?.id ?? null) : source.id;
    branch.passwords = source.passwords;
  };
  const settle = async () => {
    if (preserved === null) {
      await discard(old);
    } else {
      await resume(old, null);
      preserved.compute = old;
      preserved.state = "ready";
    }
    branch.state = "ready";
    branch.stateChangedAt = new Date();
    branch.lastResetAt = new Date();
  };
  const undo = async () => {
    if (branch.compute !== old && branch.compute !== null) await discard(branch.compute);
    Object.assign(branch, before);
    if (preserved !== null) giveBack(project, preserved, branch);
    if (!hasEnded(old.server.process) && old.server.port === port) return;
    await halt(old);
    await resume(old, port);
  };
  const steps = [
    { operation: addOperation(project, "create_branch", branch.id), act: restore },
    { operation: addOperation(project, "start_compute", branch.id, endpoint), act: settle },
  ];
  const ended = carryOut(faults, steps, undo);
  return { operations: steps.map(({ operation }) => operation), ended };
}

/** Takes a preserved branch away, and gives its children back. */
function giveBack({ branches }: Project, preserved: Branch, branch: Branch): void {
  branches.delete(preserved.id);
  for (const child of branches.values()) {
    if (child.parentId === preserved.id) child.parentId = branch.id;
  }
}

async function copyOf(
  { history, superuserPassword: password }: Project,
  source: Compute,
  aim: Aim,
): Promise<{ readonly compute: Compute; readonly lsn: string }> {
  const prepared = await prepare(history, source, aim);
  try {
    return await recover(history, prepared, { password, port: null });
  } catch (thrown) {
    await prepared.place.guard.release();
    throw thrown;
  }
}

async function setPasswords(
  compute: Compute,
  passwords: ReadonlyMap<string, string>,
): Promise<void> {
  const { sql } = adminOf(compute);
  for (const [role, password] of passwords) {
    await sql(`alter role ${escapeIdentifier(role)} password ${escapeLiteral(password)}`);
  }
}

/** Returns the server of a branch. @throws Error where the branch has none */
export function computeOf({ compute, name }: Branch): Compute {
  if (compute === null) throw new Error(`The branch ${name} has no data.`);
  return compute;
}
