import { listProjects } from "@neon/sdk/raw";
import type { ProjectAccess } from "./project-access.ts";
import { createSender, repeat } from "./send.ts";

/** The most projects that Neon gives at once (OpenAPI document, "listProjects"). */
const PAGE = 400;

/**
 * Lists the projects of an organisation, page by page.
 * @throws MigratorError with the code of the access
 */
export async function listOrganizationProjects(
  access: ProjectAccess,
  organization: string,
): Promise<readonly { readonly id: string; readonly createdAt: string }[]> {
  const sender = createSender(access);
  const found = new Map<string, { readonly id: string; readonly createdAt: string }>();
  let cursor: string | undefined;
  for (;;) {
    const query = {
      ...{ org_id: organization, limit: PAGE },
      ...(cursor === undefined ? {} : { cursor }),
    };
    const answer = await repeat(
      sender,
      `list the projects of ${organization}`,
      ["projects"],
      (sent) => listProjects({ ...sent, query }),
    );
    const before = found.size;
    for (const { id, created_at: createdAt } of answer.projects) found.set(id, { id, createdAt });
    cursor = answer.pagination?.cursor;
    // Neon gives a cursor with the last page, too.
    if (answer.projects.length < PAGE || cursor === undefined || found.size === before) break;
  }
  return [...found.values()];
}
