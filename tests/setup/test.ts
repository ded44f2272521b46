import { test as base, type TestAPI } from "vitest";
import type { Target } from "../../lib/target/target.ts";
import type { Relay } from "../../local/relay/relay.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { targetOf } from "./run.ts";

/** A test asks for these by name. Each is made when a test asks for it, and closed when that test ends. */
export interface Fixtures {
  /** An empty database. */
  readonly database: TestDatabase;
  /** A relay to the database, without faults. */
  readonly relay: Relay;
  /** The database behind the relay, as a run takes it. */
  readonly target: Target;
}

/** Vitest's `test`, with a database of the test's own for those that ask for one. */
export const test: TestAPI<Fixtures> = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads from the pattern what a fixture needs.
  database: async ({}, use) => {
    const database = await createTestDatabase();
    await use(database);
    await database.close();
  },
  relay: async ({ database }, use) => {
    await use(await database.startRelay());
  },
  target: async ({ database, relay }, use) => {
    await use(targetOf(database.url, relay.address));
  },
});
