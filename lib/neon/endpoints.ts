import { getConnectionUri, listProjectEndpoints } from "@neon/sdk/raw";
import { MigratorError } from "../errors.ts";
import type { MadeBranch } from "./branches.ts";
import { failureOf, unavailable } from "./failure.ts";
import { attempt, repeat, type Sender, waitOrFail } from "./send.ts";

/** The branch that a connection string leads to, and the size of its compute. */
export interface Production {
  readonly branchId: string;
  readonly endpointId: string;
  readonly host: string;
  readonly compute: { readonly minCu: number; readonly maxCu: number };
}

/**
 * Finds the branch behind the host of a connection string. The first label of a host is its endpoint's id, with `-pooler`
 * behind it for the pooler; the default branch need not be production's.
 * @throws MigratorError with the code of the access, where the project has no such endpoint
 */
export async function findProduction(sender: Sender, host: string): Promise<Production> {
  const { projectId } = sender.access;
  const { endpoints } = await repeat(
    sender,
    "list the endpoints of the project",
    ["endpoints"],
    (sent) => listProjectEndpoints({ ...sent, path: { project_id: projectId } }),
  );
  const id = endpointIdIn(host);
  const found = endpoints.find((each) => each.id === id);
  if (found === undefined) {
    throw unavailable(
      sender.access,
      `The project ${projectId} has no endpoint ${host}, so its branch is not known. Is the connection string's host one of Neon's own, and is NEON_PROJECT_ID its project?`,
    );
  }
  return {
    ...{ branchId: found.branch_id, endpointId: found.id, host: found.host },
    compute: { minCu: found.autoscaling_limit_min_cu, maxCu: found.autoscaling_limit_max_cu },
  };
}

/** The database and the role to log in to a branch with. */
export interface Login {
  readonly database: string;
  readonly role: string;
}

/**
 * Asks Neon for the connection string of a branch that was made, and proves that it leads nowhere else.
 * @throws MigratorError `REHEARSAL_UNSAFE` where it names another host, or production's; else the code of the access
 */
export async function connectionUrlOf(
  sender: Sender,
  branch: MadeBranch,
  production: Production,
  { database, role }: Login,
): Promise<string> {
  const query = {
    ...{ branch_id: branch.id, endpoint_id: branch.endpointId },
    ...{ database_name: database, role_name: role, pooled: false },
  };
  const path = { project_id: sender.access.projectId };
  for (let tries = 1; ; tries += 1) {
    const outcome = await attempt(sender, ["uri"], (sent) =>
      getConnectionUri({ ...sent, path, query }),
    );
    if ("data" in outcome) {
      assertBranchsOwn(outcome.data.uri, branch, production);
      return outcome.data.uri;
    }
    const what = `give the connection string of ${role} for ${database}`;
    if (outcome.refused.status === 404) throw unknownLogin(sender, what, outcome.refused);
    await waitOrFail(sender, what, outcome.refused, tries);
  }
}

/** Proves that a connection string leads to the branch that was just made. It shows no part of it but the host. */
function assertBranchsOwn(uri: string, branch: MadeBranch, production: Production): void {
  const host = URL.canParse(uri) ? new URL(uri).hostname.toLowerCase() : "";
  const isOwn = host === branch.host.toLowerCase() && endpointIdIn(host) === branch.endpointId;
  const isProductions =
    [production.host.toLowerCase()].includes(host) ||
    endpointIdIn(host) === production.endpointId ||
    branch.id === production.branchId;
  if (isOwn && !isProductions) return;
  throw new MigratorError(
    "REHEARSAL_UNSAFE",
    `Neon's API gave a connection string for ${host || "no host"}, and the branch ${branch.name} is at ${branch.host || "no host"}. Look at both in Neon's console.`,
  );
}

function unknownLogin(
  sender: Sender,
  what: string,
  refused: Parameters<typeof failureOf>[2],
): Error {
  const { code, facts, message } = failureOf(sender.access, what, refused);
  const [said = ""] = message.split(/(?<=\)\.) /);
  return new MigratorError(
    code,
    `${said} It knows the passwords of the roles that were made in its console or by its API. Use such a role.`,
    facts,
  );
}

function endpointIdIn(host: string): string {
  return (host.toLowerCase().split(".")[0] ?? "").replace(/-pooler$/, "");
}
