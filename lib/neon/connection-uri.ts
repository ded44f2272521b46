import { getConnectionUri } from "@neon/sdk/raw";
import type { NeonPlace } from "../target-reference.ts";
import type { ProjectAccess } from "./project-access.ts";
import { attempt, createSender, waitOrFail } from "./send.ts";

/**
 * Asks Neon for the direct connection string of a database.
 * @returns null where Neon knows no such project, branch, database or role
 * @throws MigratorError with the code of the access
 */
export async function readConnectionUri(
  access: ProjectAccess,
  { project, database, role, branch }: NeonPlace,
): Promise<string | null> {
  const sender = createSender(access);
  const query = {
    ...{ database_name: database, role_name: role, pooled: false },
    ...(branch === undefined ? {} : { branch_id: branch }),
  };
  for (let tries = 1; ; tries += 1) {
    const outcome = await attempt(sender, ["uri"], (sent) =>
      getConnectionUri({ ...sent, path: { project_id: project }, query }),
    );
    if ("data" in outcome) return outcome.data.uri;
    if (outcome.refused.status === 404) return null;
    const what = `give the connection string of ${role} for ${database}`;
    await waitOrFail(sender, what, outcome.refused, tries);
  }
}
