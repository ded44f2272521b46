/*
 * A stand-in for Neon's API, version 2, in front of one project. Calls come in over HTTP, and every branch is a PostgreSQL
 * of its own, with the data of its parent at the moment that was asked for. `route` leads a relay to them by the host's
 * name. Nothing here reaches Neon.
 */

import { randomBytes } from "node:crypto";
import { startLoopback } from "../aws/loopback.ts";
import { type Admin, type Role, runSql } from "../postgres/admin.ts";
import { findBinaries, majorVersion } from "../postgres/binaries.ts";
import { keptBecause } from "./actions.ts";
import { computeOf, remove } from "./branching.ts";
import type { KeyScope } from "./call.ts";
import { adminOf, discard, urlOf } from "./compute.ts";
import { uriOf } from "./connection-uri.ts";
import type { Contract } from "./contract.ts";
import { type CallName, type Fault, Faults } from "./faults.ts";
import { beginAnew, beginHistory, headOf, type Point } from "./history.ts";
import {
  type Branch,
  defaultBranch,
  endpointOf,
  inventId,
  makeEndpoint,
  type Plan,
  type Project,
  projectNow,
} from "./project.ts";
import { type Key, type Recorded, serveCall } from "./serve-call.ts";
import { isBusy } from "./work.ts";

/** The settings of a stand-in. */
export interface NeonOptions {
  /** Holds every call and answer against Neon's OpenAPI document. Default: nobody does. */
  readonly contract?: Contract;
  /** The role that owns the database. Default: `neondb_owner`, with a password of its own. */
  readonly role?: Partial<Role>;
  /** Default: `neondb`. */
  readonly database?: string;
  /** The name of the first branch. Default: `main`. */
  readonly branch?: string;
  /**
   * The end of every endpoint's host. Default: one of Neon's own, so that a host is read as theirs are. The command line
   * refuses to ask a relay of this machine for such a host.
   */
  readonly domain?: string;
  /** Default: 10 branches, 2 compute units, no suspension to set: Neon's free plan. */
  readonly plan?: Plan;
  /** The other projects of the organization, by their ids, or how many. They are empty. Default: none. */
  readonly neighbours?: number | readonly string[];
}

/** A running stand-in, with a project of one branch. */
export interface LocalNeon {
  /** The value for `NEON_API_URL`. */
  readonly url: string;
  readonly apiKey: string;
  readonly projectId: string;
  /** The settings that lead a client here. */
  readonly environment: Readonly<Record<string, string>>;
  /** The connection string of production: the branch that was there first, whichever is the default one now. */
  readonly productionUrl: string;
  /** Finds the server of a host, for a relay; null for a host that is no endpoint. */
  route(host: string): { readonly host: string; readonly port: number } | null;
  /** A branch by its name or id, behind the API's back. @throws Error where there is none */
  branch(name: string): LocalBranch;
  /** The branches that are there, by name. */
  branchNames(): readonly string[];
  /** When a branch is deleted by itself; null where it never is. @throws Error where there is no such branch */
  expiryOf(name: string): Date | null;
  /** The calls so far, in order. */
  readonly calls: readonly Recorded[];
  /** Our own answers that break Neon's document, and errors of our own. It must stay empty. */
  readonly problems: readonly string[];
  /** Adds a key of the whole organization, or one that may use this project only, or another project only. */
  addKey(scope: Exclude<KeyScope, "all projects">): string;
  /** Lets the next calls go wrong. @param call null stands for any call @param times default: 1 */
  fail(call: CallName | null, fault: Fault, times?: number): void;
  /** Lets every call and operation go right again, and at once. */
  clearFaults(): void;
  /** Fails the next operation of this kind. @param action null stands for any */
  failOperation(action: string | null, error?: string): void;
  /** Lets every operation take at least so long. */
  slowDown(delayMs: number): void;
  /** Lets no operation end until the returned function is called. */
  holdOperations(): () => void;
  /** Moves the clock that expiry asks. */
  passTime(ms: number): void;
  setPlan(plan: Partial<Plan>): void;
  /** Lets the history begin with this moment. */
  forgetHistory(): Promise<void>;
  /** Resolves once no operation is under way. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** A branch, as a superuser sees it. */
export interface LocalBranch {
  readonly id: string;
  /** The host of its endpoint; null without one. */
  readonly host: string | null;
  readonly port: number;
  readonly admin: Admin;
  readonly serverLog: string;
  /** The connection string over TCP, without any relay, for the owner. */
  readonly url: string;
  /** Runs SQL in the project's database as its owner. */
  sql(text: string, values?: readonly unknown[]): ReturnType<typeof runSql>;
  /** The point up to which it is written. */
  head(): Promise<Point>;
}

const FREE: Plan = { name: "free_v3", branches: 10, computeUnits: 2, suspension: false };
const SWEEP_MS = 100;

/** Starts the stand-in. Its first branch is up, and empty. */
export async function startNeon(options: NeonOptions = {}): Promise<LocalNeon> {
  const project = await createProject(options);
  const production = defaultBranch(project);
  const faults = new Faults();
  const keys = new Map<string, Key>();
  const calls: Recorded[] = [];
  const problems: string[] = [];
  const contract = options.contract ?? null;
  const state = { project, faults, keys, contract, calls, problems };
  const api = await startLoopback((request, response) => serveCall(state, request, response));
  const addKey = (scope: KeyScope): string => {
    const key = `napi_${randomBytes(32).toString("hex")}`;
    keys.set(key, { scope });
    return key;
  };
  const apiKey = addKey("all projects");
  const sweeper = setInterval(() => sweep(project, faults), SWEEP_MS);
  sweeper.unref();
  const { database } = project;
  const [name = "", password = ""] = [...production.passwords][0] ?? [];
  const url = `${api.url}/api/v2`;
  return {
    ...{ url, apiKey, projectId: project.id, calls, problems, addKey },
    environment: { NEON_API_URL: url, NEON_API_KEY: apiKey, NEON_PROJECT_ID: project.id },
    get productionUrl() {
      const endpoint = endpointOf(project, production.id);
      if (endpoint === undefined) throw new Error("Production has no endpoint.");
      return uriOf(production, endpoint, { role: name, password, database, pooled: false });
    },
    route: (host) => route(project, host),
    branch: (wanted) => localBranch(project, wanted),
    branchNames: () => [...project.branches.values()].map((each) => each.name),
    expiryOf: (wanted) => branchNamed(project, wanted).expiresAt,
    fail: (call, fault, times) => faults.plan(call, fault, times),
    clearFaults: () => faults.clear(),
    failOperation: (action, error = "compute is not available") =>
      faults.failOperation(action, error),
    slowDown: (delayMs) => faults.slowDown(delayMs),
    holdOperations: () => faults.hold(),
    passTime: (ms) => {
      project.aheadMs += ms;
      sweep(project, faults);
    },
    setPlan: (plan) => {
      project.plan = { ...project.plan, ...plan };
    },
    forgetHistory: () => beginAnew(project.history, computeOf(production)),
    idle: () => untilIdle(project),
    stop: async () => {
      clearInterval(sweeper);
      await api.stop();
      faults.clear();
      await untilIdle(project);
      await Promise.all([...project.branches.values()].map(discardData));
      await project.history.place.guard.release();
    },
  };
}

async function createProject(options: NeonOptions): Promise<Project> {
  const { database = "neondb", plan = FREE, domain = "eu-central-1.local.neon.build" } = options;
  const superuserPassword = randomBytes(12).toString("hex");
  const { history, root } = await beginHistory(superuserPassword);
  const admin = adminOf(root);
  const role = await admin.createRole(options.role?.name ?? "neondb_owner", {
    ...(options.role?.password !== undefined && { password: options.role.password }),
  });
  await admin.createDatabase(database, { owner: role.name });
  const now = new Date();
  const main: Branch = {
    ...{ id: inventId("br-"), name: options.branch ?? "main", parentId: null, parentLsn: null },
    ...{ parentTime: null, state: "ready", isDefault: true, isProtected: false, expiresAt: null },
    ...{ lifetimeSeconds: null, lastResetAt: null, annotation: {}, compute: root },
    ...{ createdAt: now, updatedAt: now, stateChangedAt: now },
    passwords: new Map([[role.name, role.password]]),
  };
  const endpoint = { ...makeEndpoint({ domain }, main.id), state: "active" as const };
  return {
    ...{ id: inventId(""), region: "aws-eu-central-1", domain, createdAt: now, database },
    ...{
      postgresMajor: await majorVersion(await findBinaries()),
      superuserPassword,
      history,
      plan,
    },
    ...{ historySeconds: 21_600, operations: [], aheadMs: 0 },
    neighbours: neighboursOf(options.neighbours ?? 0),
    branches: new Map([[main.id, main]]),
    endpoints: new Map([[endpoint.id, endpoint]]),
  };
}

/** Neon's pooled host is the direct one with `-pooler` behind its first label. */
function route({ endpoints, branches }: Project, host: string): ReturnType<LocalNeon["route"]> {
  const direct = host.toLowerCase().replace(/^([^.]+)-pooler\./, "$1.");
  const endpoint = [...endpoints.values()].find((each) => each.host === direct);
  const compute = branches.get(endpoint?.branchId ?? "")?.compute ?? null;
  return compute === null ? null : { host: "127.0.0.1", port: compute.server.port };
}

function branchNamed({ branches }: Project, wanted: string): Branch {
  const found = [...branches.values()].find(({ id, name }) => id === wanted || name === wanted);
  if (found === undefined) throw new Error(`There is no branch ${wanted}.`);
  return found;
}

function localBranch(project: Project, wanted: string): LocalBranch {
  const branch = branchNamed(project, wanted);
  const compute = computeOf(branch);
  const { database } = project;
  const [name = "", password = ""] = [...branch.passwords][0] ?? [];
  const url = urlOf(compute, database, { name, password });
  return {
    id: branch.id,
    host: endpointOf(project, branch.id)?.host ?? null,
    port: compute.server.port,
    admin: adminOf(compute),
    serverLog: `${compute.cluster.directory}/server.log`,
    url,
    sql: (text, values = []) => runSql(url, text, values),
    head: () => headOf(compute),
  };
}

/** Deletes the branches whose time is over, as far as they can be. */
function sweep(project: Project, faults: Faults): void {
  const now = projectNow(project);
  for (const branch of project.branches.values()) {
    if (branch.expiresAt === null || branch.expiresAt > now) continue;
    if (isBusy(project) || keptBecause(project, branch) !== null) continue;
    void remove({ project, faults }, branch).ended;
  }
}

async function untilIdle(project: Project): Promise<void> {
  while (isBusy(project)) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function discardData({ compute }: Branch): Promise<void> {
  if (compute !== null) await discard(compute);
}

function neighboursOf(asked: number | readonly string[]): readonly string[] {
  return typeof asked === "number" ? Array.from({ length: asked }, () => inventId("")) : asked;
}
