import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { fillShop, openShop, type Shop } from "../../setup/shop.ts";
import { runOnTerminal, type TerminalRun } from "../../setup/terminal.ts";

/*
 * What a user sees on a terminal of 100 columns: `docs/screens/` keeps it, and `npx vitest run screens -u` writes it anew.
 * Facts that differ from run to run are replaced by others of the same form.
 */

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
  shop.writeMigrations(2);
  expect(await type("up").ended()).toBe(0);
  await shop.database.sqlAsOwner(WEEKS_AGO);
  await fillShop(shop);
  shop.writeMigrations(5);
});

afterAll(() => shop.close());

/** Puts what was applied a moment ago into the past of somebody else. */
const WEEKS_AGO = `
  update drizzle.__drizzle_migrations_history set duration_ms = 112, caller = '{"source":"cli","user":"ada","host":"laptop"}',
    ended_at = timestamptz '2025-09-22 07:41:00+00' - interval '1 week' * (2 - left(tag, 4)::int)`;

function type(words: string, environment: Readonly<Record<string, string>> = {}): TerminalRun {
  return runOnTerminal(
    words.split(" "),
    { ...shop.environment, ...environment },
    { cwd: shop.folder, rows: 50 },
  );
}

/** The believable constants, for what differs. They are as long as what they replace, where a line could break. */
const USUAL: readonly (readonly [RegExp, string])[] = [
  [/\.neon\.test\b/g, ".neon.tech"],
  [/PostgreSQL 1\d\.\d+/g, "PostgreSQL 18.4"],
  [/\bpid \d+/g, "pid 18204"],
  [/pg_terminate_backend\(\d+\)/g, "pg_terminate_backend(18204)"],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, "2025-11-17 09:12:07 UTC"],
  [/\(\d\.\d MB\)/g, "(1.4 MB)"],
  [/(?:::1|127\.0\.0\.1):\d+/g, "127.0.0.1:5432"],
  [/\bon port \d+/g, "on port 5432"],
  [/\battempt \d {2}\d s/g, "attempt 4  2 s"],
  [/\b2 of 2 {2}\d s/g, "2 of 2  3 s"],
  [/\bwaiting for \d s/g, "waiting for 6 s"],
  [/\btransaction for \d\d? s/g, "transaction for 9 s"],
];

const DURATIONS = [7, 46, 183];

function usual(text: string): string {
  let at = 0;
  const timed = text.replace(/ *\b\d+ ms/g, (found) =>
    `${DURATIONS[at++ % DURATIONS.length]} ms`.padStart(found.length),
  );
  return USUAL.reduce((changed, [real, told]) => changed.replaceAll(real, told), timed);
}

async function expectScreen(name: string, words: string, run: TerminalRun): Promise<void> {
  const shown = (await run.copied()).join("\n").trimEnd();
  const screen = `$ npx neon-migrate ${words}\n${usual(shown)}\n`;
  await expect(screen).toMatchFileSnapshot(`../../../docs/screens/${name}.txt`);
}

/** Which words of an error come from the server depends on its version. */
const isRecorded = inject("postgresMajor") === 18;

test.runIf(isRecorded).for([
  ["check", "check", 1],
  ["status", "status", 0],
  ["plan", "plan", 0],
] as const)("%s", async ([name, words, exitCode]) => {
  const run = type(words);

  expect(await run.ended()).toBe(exitCode);
  await expectScreen(name, words, run);
});

test.runIf(isRecorded)("an up that fails", async () => {
  shop.writeMigrations(4);
  const run = type("up");

  expect(await run.ended()).toBe(1);
  shop.writeMigrations(5);
  await expectScreen("up-failed", "up", run);
});

test.runIf(isRecorded)("an up that waits", async () => {
  const holder = await shop.database.hold("set application_name = 'nightly-report'");
  await holder.sql("select count(*) from orders where placed_at > now() - interval '1 day'");
  const run = type("up");
  await run.sees(/waiting for [6-9] s[\s\S]*to end it/);
  await expectScreen("up-waiting", "up", run);
  run.type("\u0003");

  expect(await run.ended()).toBe(130);
  await holder.release();
});

test.runIf(isRecorded)("an up whose database is not there", async () => {
  shop.nameDatabase(`postgres://shop:shop@localhost:${await closedPort()}/shop`);
  const run = type("up", { NEON_WS_PROXY: "" });
  await run.sees(/attempt [4-6] {2}[2-4] s/);
  await expectScreen("up-connecting", "up", run);

  expect(await run.ended()).toBe(1);
  shop.nameDatabase();
  await expectScreen("up-unreachable", "up", run);
});

test.runIf(isRecorded)("an up that succeeds", async () => {
  await shop.database.sqlAsOwner("delete from customers where name = 'Ada L.'");
  const run = type("up");

  expect(await run.ended()).toBe(0);
  await expectScreen("up", "up", run);
});

test.runIf(isRecorded)("an up that is interrupted", async () => {
  shop.writeMigrations(6);
  const run = type("up");
  await run.sees("2 of 2");
  await expectScreen("up-running", "up", run);
  run.type("\u0003");

  expect(await run.ended()).toBe(130);
  await expectScreen("up-interrupted", "up", run);
});

/** Returns a port of four digits, as PostgreSQL's, on which nobody listens. */
async function closedPort(): Promise<number> {
  for (let port = 5_433; ; port += 7) {
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
