import type { TestProject } from "vitest/node";
import { preferMemory } from "../../local/postgres/memory.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The superuser's connection string of the one PostgreSQL for the whole run. */
    postgresUrl: string;
    /** The server's major version. */
    postgresMajor: number;
  }
}

/** Starts one PostgreSQL for all projects of a run; each test makes a database of its own in it. */
export async function setup({ vitest }: TestProject): Promise<void> {
  if ("postgresUrl" in vitest.getProvidedContext()) return;
  preferMemory();
  const postgres = await startPostgres();
  const [version] = await postgres.admin.sql("show server_version_num");
  vitest.provide("postgresUrl", postgres.url());
  vitest.provide("postgresMajor", Math.floor(Number(version?.server_version_num) / 10_000));
  vitest.onClose(() => postgres.stop());
}
