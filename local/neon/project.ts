import { randomBytes, randomInt, randomUUID } from "node:crypto";
import type { Compute } from "./compute.ts";
import type { History } from "./history.ts";
import { Refusal } from "./refusal.ts";

/** One branch, and the PostgreSQL that holds its data. */
export interface Branch {
  readonly id: string;
  name: string;
  parentId: string | null;
  parentLsn: string | null;
  parentTime: Date | null;
  state: "init" | "ready" | "resetting";
  isDefault: boolean;
  isProtected: boolean;
  expiresAt: Date | null;
  /** The time between the request and the expiry that it asked for, in seconds. */
  lifetimeSeconds: number | null;
  lastResetAt: Date | null;
  readonly createdAt: Date;
  updatedAt: Date;
  stateChangedAt: Date;
  readonly annotation: Readonly<Record<string, string>>;
  /** The passwords of the roles that the API knows. */
  passwords: ReadonlyMap<string, string>;
  /** Null until the data is there. */
  compute: Compute | null;
}

/** The place at which a branch is reached. */
export interface Endpoint {
  readonly id: string;
  readonly branchId: string;
  readonly host: string;
  readonly minCu: number;
  readonly maxCu: number;
  readonly suspendSeconds: number;
  readonly createdAt: Date;
  state: "init" | "active" | "idle";
}

/** The statuses of an operation that will not change any more. */
export const ENDED: readonly string[] = ["finished", "failed", "error", "cancelled", "skipped"];

/** One step of a change that was asked for. */
export interface Operation {
  readonly id: string;
  readonly action: string;
  readonly branchId: string;
  readonly endpointId: string | null;
  readonly createdAt: Date;
  updatedAt: Date;
  status: "scheduling" | "running" | "finished" | "failed" | "skipped";
  error: string | null;
}

/** The plan of the project's owner. */
export interface Plan {
  /** The name of the plan, as the API spells it. */
  readonly name: string;
  /** Largest number of branches. */
  readonly branches: number;
  /** Largest compute, in units. */
  readonly computeUnits: number;
  /** Whether `suspend_timeout_seconds` may be set. */
  readonly suspension: boolean;
}

/** Everything that the API knows of one project. */
export interface Project {
  readonly id: string;
  readonly region: string;
  readonly domain: string;
  readonly postgresMajor: number;
  readonly createdAt: Date;
  readonly database: string;
  readonly superuserPassword: string;
  readonly history: History;
  plan: Plan;
  historySeconds: number;
  readonly branches: Map<string, Branch>;
  readonly endpoints: Map<string, Endpoint>;
  /** The ids of other projects of the same organization, in the same region. They are empty. */
  readonly neighbours: readonly string[];
  /** Oldest first. */
  readonly operations: Operation[];
  /** The difference between the project's clock and ours, in ms. Only expiry asks it. */
  aheadMs: number;
}

/** The organisation of every project here. */
export const ORGANIZATION = "org-local-12345678";

const FIRST = ["quiet", "wispy", "broad", "amber", "late", "plain", "round", "young"];
const SECOND = ["meadow", "frost", "river", "field", "hill", "lake", "cloud", "stone"];

/** Invents an id in Neon's form, such as `br-quiet-meadow-1f2e3d4c`. */
export function inventId(prefix: "br-" | "ep-" | ""): string {
  const word = (words: readonly string[]) => words[randomInt(words.length)];
  return `${prefix}${word(FIRST)}-${word(SECOND)}-${randomBytes(4).toString("hex")}`;
}

/** Makes an endpoint with a host of its own. */
export function makeEndpoint(
  { domain }: Pick<Project, "domain">,
  branchId: string,
  settings: Partial<Pick<Endpoint, "minCu" | "maxCu" | "suspendSeconds">> = {},
): Endpoint {
  const id = inventId("ep-");
  const host = `${id}.${domain}`;
  return {
    ...{ id, branchId, host, createdAt: new Date(), state: "init" },
    ...{ minCu: 0.25, maxCu: 0.25, suspendSeconds: 0 },
    ...settings,
  };
}

/** Makes an operation that waits for its turn, and adds it to the project. */
export function addOperation(
  { operations }: Project,
  action: string,
  branchId: string,
  endpointId: string | null = null,
): Operation {
  const now = new Date();
  const operation: Operation = {
    ...{ id: randomUUID(), action, branchId, endpointId, createdAt: now, updatedAt: now },
    ...{ status: "scheduling", error: null },
  };
  operations.push(operation);
  return operation;
}

/** Returns the endpoint of a branch; every one here reads and writes. */
export function endpointOf({ endpoints }: Project, branchId: string): Endpoint | undefined {
  return [...endpoints.values()].find((endpoint) => endpoint.branchId === branchId);
}

/** Returns the branches that were made from a branch. */
export function childrenOf({ branches }: Project, id: string): readonly Branch[] {
  return [...branches.values()].filter(({ parentId }) => parentId === id);
}

/** Finds a branch. @throws Refusal 404 */
export function branchOf({ branches }: Project, id: string | undefined): Branch {
  const branch = branches.get(id ?? "");
  if (branch === undefined) throw new Refusal(404, "branch not found");
  return branch;
}

/** Returns the default branch, of which there is always one. */
export function defaultBranch({ branches }: Project): Branch {
  const found = [...branches.values()].find(({ isDefault }) => isDefault);
  if (found === undefined) throw new Error("The project has no default branch.");
  return found;
}

/** Returns the time by the project's clock. */
export function projectNow({ aheadMs }: Pick<Project, "aheadMs">): Date {
  return new Date(Date.now() + aheadMs);
}
