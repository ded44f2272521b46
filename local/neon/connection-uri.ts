import type { Answer, Call } from "./call.ts";
import { adminOf } from "./compute.ts";
import {
  type Branch,
  branchOf,
  defaultBranch,
  type Endpoint,
  endpointOf,
  type Project,
} from "./project.ts";
import { Refusal } from "./refusal.ts";
import type { Json } from "./views.ts";

/** Makes the connection string of a database on a branch. Default: the default branch. */
export async function connectionUri({ project, query }: Call): Promise<Answer> {
  const asked = query.get("branch_id");
  const branch = asked === null ? defaultBranch(project) : branchOf(project, asked);
  const endpoint = endpointIn(project, branch, query.get("endpoint_id"));
  const [role, database] = [query.get("role_name") ?? "", query.get("database_name") ?? ""];
  const password = branch.passwords.get(role);
  if (password === undefined) throw new Refusal(404, "role not found");
  if (!(await databaseExists(branch, database))) throw new Refusal(404, "database not found");
  const pooled = query.get("pooled") === "true";
  return {
    status: 200,
    body: { uri: uriOf(branch, endpoint, { role, password, database, pooled }) },
  };
}

function endpointIn(project: Project, branch: Branch, id: string | null): Endpoint {
  const endpoint = id === null ? endpointOf(project, branch.id) : project.endpoints.get(id);
  if (endpoint === undefined || endpoint.branchId !== branch.id) {
    throw new Refusal(404, "endpoint not found");
  }
  return endpoint;
}

/** Whether the branch has the database. A branch that has no data yet is believed. */
async function databaseExists(branch: Branch, name: string): Promise<boolean> {
  if (branch.state !== "ready" || branch.compute === null) return true;
  const rows = await adminOf(branch.compute).sql("select from pg_database where datname = $1", [
    name,
  ]);
  return rows.length > 0;
}

interface Login {
  readonly role: string;
  readonly password: string;
  readonly database: string;
  readonly pooled: boolean;
}

/** `hostaddr` leads libpq to this machine, where nobody knows the name of the host. */
export function uriOf(branch: Branch, { id, host }: Endpoint, login: Login): string {
  const [role, password, database] = [login.role, login.password, login.database].map(
    encodeURIComponent,
  );
  const name = login.pooled ? host.replace(id, `${id}-pooler`) : host;
  const port = branch.compute?.server.port ?? 5432;
  return `postgresql://${role}:${password}@${name}:${port}/${database}?hostaddr=127.0.0.1`;
}

/** Makes the part of an answer that leads to a new branch's database. */
export function detailsOf(
  project: Project,
  branch: Branch,
  endpoint: Endpoint,
  role: string,
): Json {
  const password = branch.passwords.get(role) ?? "";
  const { database } = project;
  return {
    connection_uri: uriOf(branch, endpoint, { role, password, database, pooled: false }),
    connection_parameters: {
      ...{ database, role, password, host: endpoint.host },
      pooler_host: endpoint.host.replace(endpoint.id, `${endpoint.id}-pooler`),
    },
  };
}
