import { expect } from "vitest";
import type { Relay } from "../../../local/relay/relay.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { test } from "../../setup/test.ts";
import { isTrial, tries } from "../../setup/tries.ts";
import { waitFor } from "../../setup/wait-for.ts";
import { type Look, type Migrator, playRound, type Round } from "../../trials/traffic/rounds.ts";
import { SESSIONS } from "../../trials/traffic/traffic.ts";
import { judge } from "../../trials/traffic/verdict.ts";

/** In `npm test` it gives way sooner than by default. */
const REQUEST = isTrial() ? {} : { ddlLockTimeoutMs: 200 };

/** Plays a round in which the session leaves when the whole application is held and, if asked for, was let go again. */
async function play(
  migrator: Migrator,
  { database, relay }: { readonly database: TestDatabase; readonly relay: Relay },
  letGo: boolean,
): Promise<Round> {
  const sit = async ({ held, passed }: Look) => {
    await waitFor(async () => (await held()) === SESSIONS);
    await waitFor(() => !letGo || (passed().reads > 0 && passed().writes > 0));
  };
  const ground = { url: database.url, relay: relay.address, sit, request: REQUEST };
  return await playRound(migrator, ground);
}

test("no request is held for as long as somebody sits in a transaction, as behind Drizzle's own migrator", async ({
  database,
  relay,
}) => {
  const drizzle = await play("drizzle", { database, relay }, false);
  const ours: Round[] = [];
  for (let round = 0; round < tries(1, 10); round += 1) {
    ours.push(await play("neon-migrate", { database, relay }, true));
  }

  expect(judge([drizzle, ...ours])).toEqual([]);
  expect(drizzle.passed).toEqual({ reads: 0, writes: 0 });
});

test("the verdict falls on a migrator that holds every request, and on rounds that show nothing", async ({
  database,
  relay,
}) => {
  const holding = await play("drizzle", { database, relay }, false);

  expect(judge([{ ...holding, migrator: "neon-migrate" }])).toEqual([
    "neon-migrate let 0 reads and 0 writes pass while it waited.",
  ]);
  expect(judge([{ ...holding, passed: { reads: 1, writes: 0 } }])).toEqual([
    "The rounds show nothing: 1 requests passed Drizzle's migrate().",
  ]);
});
