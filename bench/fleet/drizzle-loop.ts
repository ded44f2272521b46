import { execFileSync } from "node:child_process";
import { mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { packageRoot } from "../../lib/package-root.ts";

/** How one database is migrated: as Neon's template does it (`npx drizzle-kit migrate --config=…`), or without npx. */
export type How = "npx" | "direct";

/**
 * Prepares a project as Neon's template for a database per tenant has it (neondatabase-labs/neon-database-per-tenant-drizzle,
 * `migrate.js` and `drizzle-config.js`): its configuration is TypeScript, and takes the connection string from the environment.
 * @param folder the migrations
 * @returns what migrates one database with drizzle-kit and its own driver, and tells its ms
 */
export function prepareDrizzleKit(
  scratch: string,
  folder: string,
): (url: string, how: How) => number {
  const project = mkdtempSync(join(scratch, "template-"));
  symlinkSync(join(packageRoot(), "node_modules"), join(project, "node_modules"));
  writeFileSync(join(project, "drizzle.config.ts"), configOf(resolve(folder)));
  const program = join(dirname(createRequire(import.meta.url).resolve("drizzle-kit")), "bin.cjs");
  const start = {
    npx: ["npx", "drizzle-kit"],
    direct: [process.execPath, program],
  } as const;
  return (url, how) => {
    const [file, first] = start[how];
    const started = performance.now();
    execFileSync(file, [first, "migrate", "--config=drizzle.config.ts"], {
      ...{ cwd: project, stdio: "pipe" },
      env: { ...process.env, TENANT_DATABASE_URL: url },
    });
    return performance.now() - started;
  };
}

function configOf(folder: string): string {
  return `import { defineConfig } from "drizzle-kit";

export default defineConfig({
  out: ${JSON.stringify(folder)},
  dialect: "postgresql",
  dbCredentials: { url: process.env.TENANT_DATABASE_URL! },
});
`;
}
