import {
  getCurrentUserOrganizations,
  listProjectEndpoints,
  listProjects,
  type ProjectListItem,
} from "@neon/sdk/raw";
import { unavailable } from "./failure.ts";
import { inProject, repeat, type Sender } from "./send.ts";

/** Projects that one call lists: the most that Neon gives. */
const LISTED = 400;
/** Projects whose endpoints are asked for, at a call each. Neon takes 700 calls a minute. */
const MAX_ASKED = 25;
/** Pages of one organization's list. */
const MAX_PAGES = 5;

const SET_IT =
  "Set NEON_PROJECT_ID (in the construct: rehearsal.projectId). The project's id is in Neon's console, under its settings.";

/**
 * Finds the project of a host, by the lists that the API key may see. Neon has no call that asks for an endpoint's project,
 * so the endpoints of each project in the host's region are listed until one of them is the endpoint.
 * @returns the sender for that project
 * @throws MigratorError with the code of the access; it names the setting that makes the search unnecessary
 */
export async function findProject(sender: Sender, host: string): Promise<Sender> {
  const [id = "", ...domain] = host.toLowerCase().split(".");
  const all = await projectsOf(sender);
  const nearby = all.filter((each) => `.${domain.join(".")}`.endsWith(`.${each.proxy_host}`));
  for (const project of nearby.slice(0, MAX_ASKED)) {
    const path = { project_id: project.id };
    const { endpoints } = await repeat(
      sender,
      "list the endpoints of a project",
      ["endpoints"],
      (sent) => listProjectEndpoints({ ...sent, path }),
    );
    if (endpoints.some((each) => each.id === id)) return inProject(sender, project.id);
  }
  const asked =
    nearby.length > MAX_ASKED
      ? `The first ${MAX_ASKED} of ${nearby.length} projects in its region have`
      : `None of the ${all.length} projects that the API key may list has`;
  throw unavailable(sender.access, `${asked} an endpoint ${host}. ${SET_IT}`);
}

/** Lists the projects that the key may see. A personal key has to name the organization, and every key knows its own. */
async function projectsOf(sender: Sender): Promise<readonly ProjectListItem[]> {
  const what = "list the organizations of the API key";
  const { organizations } = await repeat(sender, what, ["organizations"], (sent) =>
    getCurrentUserOrganizations(sent),
  );
  const found: ProjectListItem[] = [];
  for (const { id } of organizations) found.push(...(await projectsIn(sender, id)));
  return found;
}

async function projectsIn(sender: Sender, organization: string): Promise<ProjectListItem[]> {
  const found: ProjectListItem[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const query = { org_id: organization, limit: LISTED, ...(cursor !== undefined && { cursor }) };
    const { projects, pagination } = await repeat(sender, "list projects", ["projects"], (sent) =>
      listProjects({ ...sent, query }),
    );
    found.push(...projects);
    // A page that is not full is the last one, whatever its cursor says.
    if (projects.length < LISTED) break;
    cursor = pagination?.cursor;
    if (cursor === undefined) break;
  }
  return found;
}
