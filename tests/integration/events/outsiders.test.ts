import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Report } from "../../../lib/report/report.ts";
import { startDeployments } from "../../../local/deployments/deployments.ts";
import { makeCall, respondTo } from "../../setup/call.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { recordedEvent } from "../../setup/recorded-events.ts";
import { createTestTarget, run, type TestTarget } from "../../setup/run.ts";

/** A value that only those may read who may read the table. */
const DATUM = "alice@example.com";

let scene: TestTarget;

beforeAll(async () => {
  scene = await createTestTarget();
  const { database } = scene;
  await database.sqlAsOwner("create table people (id int primary key, email varchar(40))");
  await database.sqlAsOwner(`insert into people values (1, '${DATUM}'), (2, 'b')`);
  await database.sqlAsOwner(
    `create function told(code text) returns int language plpgsql as $$
     begin raise exception 'no room for %', (select min(email) from people) using errcode = code; end $$`,
  );
  await database.sqlAsOwner(
    "create function half(n int) returns int language plpgsql as $$ begin return 1 / (n - n); end $$",
  );
  await database.sqlAsOwner(
    `create function at_the_end() returns trigger language plpgsql as $$
     begin perform told('23514'); return null; end $$`,
  );
  await database.sqlAsOwner("create table watched (id int)");
  await database.sqlAsOwner(
    "create constraint trigger late after insert on watched deferrable initially deferred for each row execute function at_the_end()",
  );
});

afterAll(() => scene.database.close());

async function failing(statement: string, request: object = {}): Promise<Report> {
  const bundle = makeBundle(makeMigration("0000_change", 1_000, statement));
  const report = await run(scene.target, bundle, { executor: "statements", ...request });
  expect(report.status).toBe("failed");
  return report;
}

/** The reason that CloudFormation gets, by way of CDK's Provider. */
async function reasonFor(report: Report): Promise<string> {
  const event = Object(recordedEvent("cloudformation/update"));
  const call = makeCall(lambdaContext());
  const answer = respondTo({ ...event, ServiceToken: "arn:of:the:framework" }, report, call);
  return await answer.then(
    () => "it answered without an error",
    (thrown: unknown) => String(Object(thrown).message),
  );
}

describe("a deployment whose readers may not see data is told", () => {
  test.each([
    ["select 1 / 0", "division by zero"],
    ["select half(2)", "division by zero"],
    ["select 2147483647 + 1", "integer out of range"],
    ["insert into people values (3, repeat('x', 50))", "value too long for type character"],
    ["insert into people values (1, 'c')", 'unique constraint "people_pkey"'],
    ["create unique index on people ((1))", "could not create unique index"],
    ["select (select id from people)", "more than one row returned"],
    ["select nope from people", 'column "nope" does not exist'],
    ["alter table people drop column nope", 'column "nope" of relation "people"'],
    ["drop function told", "because other objects depend"],
  ])("by %s that %s", async (statement, words) => {
    if (words.startsWith("because")) {
      const made = "create view told_of as select told('P0001')";
      await scene.database.sqlAsOwner(made);
    }

    const report = await failing(statement);

    expect(report.error?.message).toContain(words);
    expect(await reasonFor(report)).toContain(words);
  });

  test.each([
    ["a raised text", "select told('P0001')"],
    ["a raised text as a division by zero", "select told('22012')"],
    ["a raised text as a duplicate", "select told('23505')"],
    ["a raised text as a missing table", "select told('42P01')"],
    ["a raised text as a lack of room", "select told('53100')"],
    ["a raised text in a trigger at the COMMIT", "insert into watched values (1)"],
    ["an assertion", "do $$ begin assert false, (select min(email) from people); end $$"],
    ["a value of another type", "select email::int from people"],
    ["a value that is no time", "select email::timestamptz from people"],
    ["a value as the name of a table", "select email::regclass from people"],
    ["a value as the name of a role", "select quote_ident(email)::regrole from people"],
    [
      "a value in a statement that was put together",
      "do $$ begin execute format('select %I', (select min(email) from people)); end $$",
    ],
    [
      "a value out of range",
      "do $$ begin perform (9e18::numeric::text || '1')::bigint from people; end $$",
    ],
  ])("no words that hold %s", async (_, statement) => {
    const report = await failing(statement);

    const reason = await reasonFor(report);
    expect(report.error?.message).toMatch(/alice|90000000000/);
    expect(reason).not.toMatch(/alice|90000000000/);
    expect(reason).toContain(report.error?.sqlstate);
  });
});

describe("the statement of a session in the way", () => {
  test.each([
    ["a short wait", { timeoutMs: 6_000, ddlLockTimeoutMs: 300 }, "LOCK_TIMEOUT"],
    ["a wait until the end", { timeoutMs: 3_000, ddlLockTimeoutMs: 60_000 }, "DEADLINE"],
  ])("stays in the report after %s", async (_, request, code) => {
    const holder = await scene.database.hold(`update people set email = '${DATUM}' where id = 2`);

    const report = await failing("alter table people add column name text", request);
    await holder.release();

    expect(report.error).toMatchObject({ code, message: expect.stringContaining(DATUM) });
    const reason = await reasonFor(report);
    expect(reason).not.toContain("alice");
    expect(reason).toContain(`select pg_terminate_backend(${holder.pid});`);
  });

  test("does not come to CodePipeline with the continuation of a job", async () => {
    const deployments = await startDeployments();
    for (const [name, value] of Object.entries(deployments.environment)) vi.stubEnv(name, value);
    const holder = await scene.database.hold(`update people set email = '${DATUM}' where id = 2`);
    const request = { timeoutMs: 6_000, ddlLockTimeoutMs: 300 };

    const report = await failing("alter table people add column name text", request);
    await holder.release();
    const call = makeCall(lambdaContext(), Date.now() + 600_000);
    await respondTo(recordedEvent("codepipeline/job"), report, call);
    vi.unstubAllEnvs();

    expect(JSON.stringify(deployments.calls)).toContain("To be continued");
    expect(JSON.stringify(deployments.calls)).not.toContain("alice");
    await deployments.stop();
  });
});
