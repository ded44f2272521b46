import { setTimeout as pause } from "node:timers/promises";
import type { Operation } from "./project.ts";

/** The calls that are served, by the names of Neon's OpenAPI document. */
export const CALLS = {
  getCurrentUserOrganizations: "GET /users/me/organizations",
  listProjects: "GET /projects",
  getProject: "GET /projects/{project_id}",
  listProjectBranches: "GET /projects/{project_id}/branches",
  createProjectBranch: "POST /projects/{project_id}/branches",
  getProjectBranch: "GET /projects/{project_id}/branches/{branch_id}",
  updateProjectBranch: "PATCH /projects/{project_id}/branches/{branch_id}",
  deleteProjectBranch: "DELETE /projects/{project_id}/branches/{branch_id}",
  restoreProjectBranch: "POST /projects/{project_id}/branches/{branch_id}/restore",
  setDefaultProjectBranch: "POST /projects/{project_id}/branches/{branch_id}/set_as_default",
  listProjectBranchEndpoints: "GET /projects/{project_id}/branches/{branch_id}/endpoints",
  listProjectEndpoints: "GET /projects/{project_id}/endpoints",
  getProjectEndpoint: "GET /projects/{project_id}/endpoints/{endpoint_id}",
  listProjectOperations: "GET /projects/{project_id}/operations",
  getProjectOperation: "GET /projects/{project_id}/operations/{operation_id}",
  getConnectionURI: "GET /projects/{project_id}/connection_uri",
} as const;

/** One of the calls that are served. */
export type CallName = keyof typeof CALLS;

/** The ways in which a call goes wrong. */
export type Fault =
  /** It is refused, and nothing is done. */
  | {
      readonly status: number;
      readonly message?: string;
      readonly code?: string;
      readonly retryAfterSeconds?: number;
    }
  /** It is carried out, and the connection breaks instead of the answer. */
  | "answer lost"
  /** It is carried out, and no answer ever comes. */
  | "no answer"
  /** The connection breaks, and nothing is done. */
  | "call lost"
  /** `connection_uri` names the default branch's endpoint, whichever was asked for. */
  | "production's uri";

interface Planned {
  readonly call: CallName | null;
  readonly fault: Fault;
  left: number;
}

/** The faults that were asked for. */
export class Faults {
  readonly #planned: Planned[] = [];
  readonly #failures: { readonly action: string | null; readonly error: string }[] = [];
  #gate: Promise<void> | null = null;
  #open: () => void = () => undefined;
  #delayMs = 0;

  /** Lets the next calls go wrong. @param call null stands for any call */
  plan(call: CallName | null, fault: Fault, times = 1): void {
    this.#planned.push({ call, fault, left: times });
  }

  /** Lets every call and operation go right again, and at once. */
  clear(): void {
    this.#planned.length = 0;
    this.#failures.length = 0;
    this.#delayMs = 0;
    this.#open();
  }

  /** Returns the fault of this call, and counts it; null for a call that goes right. */
  take(call: CallName): Fault | null {
    const found = this.#planned.find(
      (each) => each.left > 0 && (each.call === null || each.call === call),
    );
    if (found === undefined) return null;
    found.left -= 1;
    return found.fault;
  }

  /** Fails the next operation of this kind before it does anything. @param action null stands for any */
  failOperation(action: string | null, error: string): void {
    this.#failures.push({ action, error });
  }

  /** Lets every operation take at least so long. */
  slowDown(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Lets no operation end until the returned function is called. */
  hold(): () => void {
    this.#gate = new Promise((resolve) => {
      this.#open = () => {
        this.#gate = null;
        resolve();
      };
    });
    return this.#open;
  }

  /** Waits as long as this operation is to take. @throws Error where it is to fail */
  async delay({ action }: Operation): Promise<void> {
    await this.#gate;
    await pause(this.#delayMs);
    const index = this.#failures.findIndex((each) => [null, action].includes(each.action));
    const [failure] = index === -1 ? [] : this.#failures.splice(index, 1);
    if (failure !== undefined) throw new Error(failure.error);
  }
}
