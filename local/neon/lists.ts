import type { Call } from "./call.ts";
import { type Branch, ORGANIZATION, type Project } from "./project.ts";
import { Refusal } from "./refusal.ts";
import { annotationView, branchView, type Json, operationView, projectListView } from "./views.ts";

/** The fields by which branches are sorted. */
const SORTED_BY = {
  name: ({ name }: Branch) => name,
  created_at: ({ createdAt }: Branch) => createdAt.toISOString(),
  updated_at: ({ updatedAt }: Branch) => updatedAt.toISOString(),
};

/** Lists branches. Default: the one that changed last comes first, 100 at once. */
export function listBranches(project: Project, query: URLSearchParams): Json {
  const search = query.get("search") ?? "";
  const asked = query.get("sort_by") ?? "updated_at";
  const sortBy = asked === "name" || asked === "created_at" ? asked : "updated_at";
  const order = query.get("sort_order") === "asc" ? "asc" : "desc";
  const field = SORTED_BY[sortBy];
  const sorted = [...project.branches.values()]
    .filter(({ id, name }) => id.includes(search) || name.includes(search))
    .sort((a, b) => (field(a) < field(b) ? -1 : 1) * (order === "asc" ? 1 : -1));
  const { page, next } = pageOf(sorted, query);
  return {
    branches: page.map((each) => branchView(project, each)),
    annotations: Object.fromEntries(
      page
        .filter(({ annotation }) => Object.keys(annotation).length > 0)
        .map((each) => [each.id, annotationView(each)]),
    ),
    pagination: { ...(next !== null && { next }), sort_by: sortBy, sort_order: order },
  };
}

/** Lists operations, newest first. */
export function listOperations(project: Project, query: URLSearchParams): Json {
  const { page, next } = pageOf([...project.operations].reverse(), query);
  return {
    operations: page.map((each) => operationView(project, each)),
    ...(next !== null && { pagination: { cursor: next } }),
  };
}

/** Lists the one organization that there is. Every kind of key knows its own. */
export function listOrganizations({ createdAt }: Project): Json {
  const times = { created_at: createdAt, updated_at: createdAt };
  const of = { id: ORGANIZATION, name: "Local", handle: "local", plan: "launch" };
  return { organizations: [{ ...of, ...times, managed_by: "console" }] };
}

/**
 * Lists projects, 10 at once by default. A person's key names the organization. Neon's document does not say what the key
 * of one project gets: here it is refused.
 */
export function listProjects({ project, query, scope }: Call): Json {
  const organization = query.get("org_id");
  if (scope === "this project" || scope === "another project") {
    throw new Refusal(403, "this API key may not list projects");
  }
  if (scope === "all projects" && organization === null) {
    throw new Refusal(400, "org_id is required");
  }
  if (organization !== null && organization !== ORGANIZATION) {
    throw new Refusal(404, "organization not found");
  }
  const ids = [...project.neighbours, project.id];
  const { page, next } = pageOf(ids, query, 10);
  return {
    projects: page.map((id) => projectListView(project, id)),
    ...{ applications: {}, integrations: {} },
    // Neon gives a cursor with each page that has anything.
    ...(page.length > 0 && { pagination: { cursor: next ?? cursorOf(ids.length) } }),
  };
}

function cursorOf(start: number): string {
  return Buffer.from(String(start)).toString("base64");
}

function pageOf<Entry>(
  all: readonly Entry[],
  query: URLSearchParams,
  otherwise = 100,
): { readonly page: readonly Entry[]; readonly next: string | null } {
  const start = Number(Buffer.from(query.get("cursor") ?? "", "base64").toString()) || 0;
  const end = start + Number(query.get("limit") ?? otherwise);
  const next = end < all.length ? cursorOf(end) : null;
  return { page: all.slice(start, end), next };
}
