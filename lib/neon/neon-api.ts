/*
 * Neon's API, as far as a rehearsal, a restore and a fleet need it: the branch behind a connection string, a branch of it that
 * expires, its connection string, its end, and a restore. Calls go out by Neon's own SDK, with our repetitions, and every
 * failure has the code that the caller named. The key never leaves the calls, and no statement is sent to any database.
 */

import {
  type AskedBranch,
  createBranch,
  type Deletion,
  deleteBranch,
  type MadeBranch,
} from "./branches.ts";
import { connectionUrlOf, findProduction, type Login, type Production } from "./endpoints.ts";
import { findProject } from "./find-project.ts";
import { untilEnded } from "./operations.ts";
import type { ProjectAccess } from "./project-access.ts";
import {
  type AskedRestore,
  assertUnprotected,
  type BegunRestore,
  readBranch,
  readRestoreWindow,
  restoreBranch,
} from "./restore.ts";
import { createSender, until } from "./send.ts";

export { readConnectionUri } from "./connection-uri.ts";
export { listOrganizationProjects } from "./projects.ts";

/** One project of Neon, for as long as its deadline allows. Every function throws a MigratorError with the access' code. */
export interface NeonApi {
  /** Finds the branch behind the host of a connection string, and its project where nobody named it. It is asked first. */
  findProduction(host: string): Promise<Production>;
  /** Makes a branch with an endpoint; `untilReady` says when it can be used. */
  createBranch(asked: AskedBranch): Promise<MadeBranch>;
  /** Waits until a branch that was made, or restored, can be used. */
  untilReady(begun: MadeBranch | BegunRestore): Promise<void>;
  /** Asks for the connection string of a branch. @throws MigratorError also `REHEARSAL_UNSAFE` */
  connectionUrl(branch: MadeBranch, production: Production, login: Login): Promise<string>;
  /** Deletes a branch. It rejects never. @param by epoch ms. Default: the deadline of all calls */
  deleteBranch(id: string, by?: number): Promise<Deletion>;
  /** Reads the name of a branch, and whether Neon protects it. */
  readBranch(id: string): Promise<{ readonly name: string; readonly isProtected: boolean }>;
  /** How far back a branch or a restore can go, in seconds. */
  restoreWindowSeconds(): Promise<number>;
  /** Begins a restore in place; the present state is kept in a branch of its own. */
  restoreBranch(asked: AskedRestore): Promise<BegunRestore>;
  /** Number of calls so far, repetitions included. */
  readonly calls: number;
}

/** Makes the way to a project. It calls nobody. */
export function createNeonApi(access: ProjectAccess): NeonApi {
  let sender = createSender(access);
  return {
    findProduction: async (host) => {
      if (access.projectId === null) sender = await findProject(sender, host);
      return await findProduction(sender, host);
    },
    createBranch: (asked) => createBranch(sender, asked),
    untilReady: ({ work }) => untilEnded(sender, work),
    connectionUrl: (branch, production, login) =>
      connectionUrlOf(sender, branch, production, login),
    deleteBranch: (id, by = access.deadline) => deleteBranch(until(sender, by), id),
    readBranch: async (id) => {
      const { name, protected: isProtected } = await readBranch(sender, id);
      return { name, isProtected };
    },
    restoreWindowSeconds: () => readRestoreWindow(sender),
    restoreBranch: async (asked) => {
      assertUnprotected(sender, await readBranch(sender, asked.branchId));
      return await restoreBranch(sender, asked);
    },
    get calls() {
      return sender.calls.count;
    },
  };
}
