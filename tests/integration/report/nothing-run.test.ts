import pc from "picocolors";
import { describe, expect, onTestFinished, vi } from "vitest";
import { renderReport } from "../../../bin/render/report.ts";
import { createHandler } from "../../../lib/handler/handler.ts";
import { streamify } from "../../../lib/handler/streaming-handler.ts";
import { silentLog } from "../../../lib/log.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { everythingIn } from "../../setup/everything.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { recordedEvent, recordedEvents } from "../../setup/recorded-events.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const LEDGER = "drizzle.__drizzle_migrations";
const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const second = makeMigration("0001_second", 2_000, "create table tags (id int)");
const bundle = makeBundle(first, second);

/** Calls the function, and returns the text of its answer, or of its error. */
async function call(database: TestDatabase, event: unknown): Promise<string> {
  const environment = await database.functionEnvironment();
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const handler = createHandler({ bundle, logFor: () => silentLog });
  return await handler(event, lambdaContext()).then(JSON.stringify, String);
}

const posted = (body: object) => ({
  ...Object(recordedEvent("http/function-url-post")),
  body: JSON.stringify(body),
  isBase64Encoded: false,
});

/** The words of a refusal that follow a field which is none of a request's, and those for a service that is not served. */
const NO_FIELD = "which is no field of a request; nothing was run.";
const NOT_SERVED = "which it does not serve; nothing was run.";

const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ["a field that means a dry run", { action: "up", dryRun: true }, NO_FIELD],
  ["a field with a typing error", { transactions: "all" }, NOT_SERVED],
  ["such a field over HTTP", posted({ acton: "plan" }), NO_FIELD],
  ["a field that means nothing, over HTTP", posted({ hello: 1 }), NO_FIELD],
  ...recordedEvents()
    .filter(({ name }) => name.startsWith("refused/"))
    .map(({ name, event }) => [name, event, NOT_SERVED] as const),
];

describe("an event that is refused with the words that nothing was run leaves everything as it was", () => {
  test("whatever it is", async ({ database }) => {
    const before = await everythingIn(database);
    for (const [what, event, words] of REFUSED) {
      expect(`${what}: ${await call(database, event)}`).toContain(words);
    }
    expect(await everythingIn(database)).toEqual(before);
  });

  test("a stream where none is possible", async ({ database }) => {
    const before = await everythingIn(database);
    vi.stubGlobal("awslambda", undefined);
    onTestFinished(() => void vi.unstubAllGlobals());
    const handle = vi.fn();

    const refused: Promise<unknown> = Reflect.apply(streamify(handle), null, []);

    await expect(refused).rejects.toThrow(
      "AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA. Nothing was run.",
    );
    expect(handle).not.toHaveBeenCalled();
    expect(await everythingIn(database)).toEqual(before);
  });

  test("a run to begin while another creates the ledger", async ({ database }) => {
    const before = await everythingIn(database);
    const holder = await database.hold("create schema drizzle");

    const answer = await call(database, recordedEvent("http/function-url-post-async"));

    await holder.release();
    expect(answer).toContain("Nothing was run; send it again in a moment.");
    expect(await everythingIn(database)).toEqual(before);
  });
});

describe("a ledger that nothing is run with", () => {
  test.for([
    [
      "that is a view",
      `create schema drizzle; create view ${LEDGER} as select 1 as id, ''::text as hash, 1::bigint as created_at`,
      "Nothing is read from it, and nothing is run with it.",
    ],
    [
      "that is two",
      `create schema drizzle;
       create table ${LEDGER} (id serial, hash text, created_at bigint);
       create table public.__drizzle_migrations (id serial, hash text, created_at bigint);
       insert into ${LEDGER} (hash, created_at) values ('${first.hash}', 1000);
       insert into public.__drizzle_migrations (hash, created_at) values ('${second.hash}', 2000)`,
      "Nothing is run with two.",
    ],
    [
      "that the role may only read",
      `create schema drizzle; create table ${LEDGER} (id serial, hash text, created_at bigint);
       revoke insert on ${LEDGER} from current_user`,
      "Nothing is run without one.",
    ],
  ] as const)("%s", async ([_what, sql, words], { database, target }) => {
    await database.sqlAsOwner(sql);
    const before = await everythingIn(database);

    const report = await run(target, bundle);

    expect(report.error?.message).toContain(words);
    expect(await everythingIn(database)).toEqual(before);
  });

  test("is no reason to deny what an earlier attempt has left done", async ({
    database,
    target,
  }) => {
    await database.sqlAsOwner("create table gate ()");
    const apart = makeMigration(
      "0001_apart",
      2_000,
      "create table one ()",
      "commit",
      "vacuum",
      "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.02); end loop; end $$",
    );
    const cut = makeBundle(first, apart);
    const sleeping = "datname = current_database() and wait_event = 'PgSleep'";

    const running = run(target, cut);
    await waitFor(async () => {
      const found = await database.sql(`select from pg_stat_activity where ${sleeping}`);
      return found.length === 1;
    });
    await database.sql(`revoke insert on ${LEDGER} from "${database.owner.name}"`);
    await database.sql(`select pg_terminate_backend(pid) from pg_stat_activity where ${sleeping}`);
    const report = await running;

    const text = renderReport(report, {
      ...{ action: "up", folder: "drizzle", bundle: cut },
      colors: pc.createColors(false),
    });
    expect(report.error).toMatchObject({ code: "LEDGER_DENIED" });
    expect(text).toContain("The migrations ticked above stay applied.");
    // The VACUUM is done. Its record was to travel with the transaction that was lost.
    expect(text).toMatch(/1 to 3 of 4 are done and stay done; the ledger says where the next/);
    expect(text).toContain("2 of 4 statements of 0001_apart are done, and stay done.");
    expect(text).not.toMatch(/nothing was (run|applied)/i);
    expect(await database.sql(`select hash from ${LEDGER}`)).toEqual([{ hash: first.hash }]);
    expect(await database.sql(`select done from ${LEDGER}_checkpoints`)).toEqual([{ done: 2 }]);
    expect(await database.sql("select to_regclass('one')::text as one")).toEqual([{ one: "one" }]);
  });
});
