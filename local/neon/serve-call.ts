import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import {
  createBranch,
  deleteBranch,
  getBranch,
  restoreBranch,
  setDefault,
  updateBranch,
} from "./actions.ts";
import type { Answer, Call, KeyScope } from "./call.ts";
import { connectionUri } from "./connection-uri.ts";
import type { Contract } from "./contract.ts";
import { CALLS, type CallName, type Fault, type Faults } from "./faults.ts";
import { listBranches, listOperations, listOrganizations, listProjects } from "./lists.ts";
import { branchOf, defaultBranch, type Project } from "./project.ts";
import { Refusal } from "./refusal.ts";
import { endpointView, type Json, operationView, projectView } from "./views.ts";

/** A key, and what it may do. */
export interface Key {
  readonly scope: KeyScope;
}

/** A call that came in. */
export interface Recorded {
  readonly call: CallName | null;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  /** The status of the answer; null where none was sent. */
  status: number | null;
}

/** Everything that a call meets. */
export interface State {
  readonly project: Project;
  readonly faults: Faults;
  readonly keys: ReadonlyMap<string, Key>;
  readonly contract: Contract | null;
  readonly calls: Recorded[];
  readonly problems: string[];
}

const PREFIX = "/api/v2";

/** Does a call's work. */
type Action = (call: Call) => Answer | Promise<Answer>;

const ACTIONS: Readonly<Record<CallName, Action>> = {
  getCurrentUserOrganizations: ({ project }) => ok(listOrganizations(project)),
  listProjects: (call) => ok(listProjects(call)),
  getProject: ({ project }) => ok({ project: projectView(project) }),
  listProjectBranches: ({ project, query }) => ok(listBranches(project, query)),
  createProjectBranch: createBranch,
  getProjectBranch: getBranch,
  updateProjectBranch: updateBranch,
  deleteProjectBranch: deleteBranch,
  restoreProjectBranch: restoreBranch,
  setDefaultProjectBranch: setDefault,
  listProjectBranchEndpoints: ({ project, path }) => {
    const { id } = branchOf(project, path.branch_id);
    return ok({ endpoints: endpointsOf(project).filter((each) => each.branch_id === id) });
  },
  listProjectEndpoints: ({ project, path }) =>
    ok({ endpoints: path.project_id === project.id ? endpointsOf(project) : [] }),
  getProjectEndpoint: ({ project, path }) => {
    const endpoint = project.endpoints.get(path.endpoint_id ?? "");
    if (endpoint === undefined) throw new Refusal(404, "endpoint not found");
    return ok({ endpoint: endpointView(project, endpoint) });
  },
  listProjectOperations: ({ project, query }) => ok(listOperations(project, query)),
  getProjectOperation: ({ project, path }) => {
    const found = project.operations.find(({ id }) => id === path.operation_id);
    if (found === undefined) throw new Refusal(404, "operation not found");
    return ok({ operation: operationView(project, found) });
  },
  getConnectionURI: connectionUri,
};

/** Answers one call. It rejects where the connection is to be cut. */
export async function serveCall(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://neon");
  const method = request.method ?? "GET";
  const found = find(method, url.pathname);
  const sent = await text(request);
  const recorded: Recorded = {
    ...{ call: found?.name ?? null, method, path: url.pathname + url.search },
    ...{ body: parse(sent), status: null },
  };
  state.calls.push(recorded);
  const fault = found === null ? null : state.faults.take(found.name);
  if (fault === "call lost") throw new Error("The connection is cut.");
  const { status, body } = await answerOf(state, request, { found, url, sent, fault });
  if (fault === "answer lost") throw new Error("The connection is cut.");
  if (fault === "no answer") return;
  recorded.status = status;
  const seconds = typeof fault === "object" ? fault?.retryAfterSeconds : undefined;
  response.writeHead(status, {
    "content-type": "application/json",
    ...(seconds !== undefined && { "retry-after": String(seconds) }),
  });
  response.end(body === null ? undefined : JSON.stringify(body));
}

interface Incoming {
  readonly found: Found | null;
  readonly url: URL;
  readonly sent: string;
  readonly fault: Fault | null;
}

async function answerOf(
  state: State,
  request: IncomingMessage,
  incoming: Incoming,
): Promise<Answer> {
  try {
    const answer = await carryOut(state, request, incoming);
    const name = incoming.found?.name;
    const problem =
      name === undefined
        ? null
        : (state.contract?.checkAnswer(name, answer.status, asSent(answer.body)) ?? null);
    if (problem === null) return answer;
    state.problems.push(`${name} ${answer.status}: ${problem}`);
    throw new Refusal(500, `the stand-in's own answer breaks the contract: ${problem}`);
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) state.problems.push(String(thrown));
    const { status, code, message } =
      thrown instanceof Refusal ? thrown : { status: 500, code: "", message: String(thrown) };
    return { status, body: { request_id: `local-${state.calls.length}`, code, message } };
  }
}

/** Dates become texts on their way. */
function asSent(body: Json | null): unknown {
  return body === null ? null : JSON.parse(JSON.stringify(body));
}

async function carryOut(
  state: State,
  request: IncomingMessage,
  { found, url, sent, fault }: Incoming,
): Promise<Answer> {
  if (typeof fault === "object" && fault !== null) {
    throw new Refusal(fault.status, fault.message ?? "this is a fault on request", fault.code);
  }
  const { name, path, scope } = admitted(state, request, found);
  const body = sent === "" ? null : parse(sent);
  if (body === undefined) throw new Refusal(400, "the body is not JSON");
  const wrong = state.contract?.checkCall(name, url.searchParams, body) ?? null;
  if (wrong !== null) throw new Refusal(400, wrong);
  const query = new URLSearchParams(url.searchParams);
  if (fault === "production's uri") {
    query.delete("endpoint_id");
    query.set("branch_id", defaultBranch(state.project).id);
  }
  const { project, faults } = state;
  return await ACTIONS[name]({ project, faults, path, query, body: Object(body), scope });
}

/** Looks whether the key may do this. @throws Refusal */
function admitted(
  { project, keys }: State,
  { headers }: IncomingMessage,
  found: Found | null,
): Found & Key {
  const key = keys.get(/^Bearer (\S+)$/.exec(headers.authorization ?? "")?.[1] ?? "");
  if (key === undefined) throw new Refusal(401, "authorization failed");
  if (found === null) throw new Refusal(404, "not found");
  const { project_id: asked } = found.path;
  if (asked === undefined) return { ...found, ...key };
  const isWide = key.scope === "all projects" || key.scope === "organization";
  // Of the neighbours nothing is served but their endpoints: they have none.
  const isNeighbour =
    isWide && found.name === "listProjectEndpoints" && project.neighbours.includes(asked);
  const isOwn = asked === project.id && key.scope !== "another project";
  if (!isOwn && !isNeighbour) throw new Refusal(404, "project not found");
  return { ...found, ...key };
}

interface Found {
  readonly name: CallName;
  readonly path: Readonly<Record<string, string>>;
}

const ROUTES = Object.entries(CALLS).map(([name, call]) => {
  const [method = "", path = ""] = call.split(" ");
  const pattern = path.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)");
  // The names are those of `CALLS`.
  return { name: name as CallName, method, pattern: new RegExp(`^${PREFIX}${pattern}$`) };
});

function find(method: string, path: string): Found | null {
  for (const route of ROUTES) {
    const match = route.method === method ? route.pattern.exec(path) : null;
    if (match !== null) return { name: route.name, path: { ...match.groups } };
  }
  return null;
}

function parse(sent: string): unknown {
  try {
    return JSON.parse(sent);
  } catch {
    return undefined;
  }
}

function ok(body: Json): Answer {
  return { status: 200, body };
}

function endpointsOf(project: Project): readonly Json[] {
  return [...project.endpoints.values()].map((each) => endpointView(project, each));
}
