/*
 * Setup: the parts that tests share. A test asks for a database, a function or a stack, and gets one that is removed when
 * it ends. Nothing here is a test, and only helpers whose name or comment says so fail one.
 */

import { test as base, type TestAPI } from "vitest";
import type { Target } from "../../lib/target/target.ts";
import type { Relay } from "../../local/relay/relay.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { targetOf } from "./run.ts";

/** The fixtures of a test. Each is made when a test asks for it by name, and closed when that test ends. */
export interface Fixtures {
  /** An empty database. */
  readonly database: TestDatabase;
  /** A relay to the database, without faults. */
  readonly relay: Relay;
  /** The database behind the relay, as a run takes it. */
  readonly target: Target;
}

/** Vitest's `test`. A test that asks for a database gets one of its own. */
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
