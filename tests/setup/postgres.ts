import type { TestProject } from "vitest/node";
import { preferMemory } from "../../local/postgres/memory.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The superuser's connection string of the run's one PostgreSQL. */
    postgresUrl: string;
  }
}

/** Starts one PostgreSQL for the whole run; each test file makes a database of its own in it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  preferMemory();
  const postgres = await startPostgres();
  project.provide("postgresUrl", postgres.url());
  return () => postgres.stop();
}
