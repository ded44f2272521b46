import type { Branch, Project } from "./project.ts";
import { annotationView, branchView, type Json, operationView } from "./views.ts";

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

function pageOf<Entry>(
  all: readonly Entry[],
  query: URLSearchParams,
): { readonly page: readonly Entry[]; readonly next: string | null } {
  const start = Number(Buffer.from(query.get("cursor") ?? "", "base64").toString()) || 0;
  const end = start + Number(query.get("limit") ?? 100);
  const next = end < all.length ? Buffer.from(String(end)).toString("base64") : null;
  return { page: all.slice(start, end), next };
}
