import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Pool } from "@neondatabase/serverless";
// From here, and only from here, these names are Drizzle 1.0.
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate } from "drizzle-orm/neon-serverless/migrator";

/** Drizzle 1.0's own `migrate()`, as a team calls it. */
export async function migrateByDrizzle1(pool: Pool, migrationsFolder: string): Promise<void> {
  await migrate(drizzle({ client: pool }), { migrationsFolder });
}

const kit = fileURLToPath(new URL("node_modules/drizzle-kit/bin.cjs", import.meta.url));

/** `drizzle-kit up` of 1.0: rewrites a 0.x folder into one of the 1.0 layout, in place. */
export async function upgradeFolder(folder: string): Promise<void> {
  await promisify(execFile)(process.execPath, [
    ...[kit, "up", "--dialect", "postgresql", "--out", folder],
  ]);
}
