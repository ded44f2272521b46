import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { recognise } from "../../../lib/events/recognise.ts";
import { whoCalls } from "../../../lib/events/who-calls.ts";
import { byOf } from "../../../lib/history/runs.ts";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { copyExample } from "../../setup/folders.ts";
import { handlerWith } from "../../setup/handler.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { neonMigrateIn } from "../../setup/neon-migrate.ts";
import { recordedEvent } from "../../setup/recorded-events.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const ECS = "arn:aws:ecs:eu-central-1:123456789012";
/** Each event, with the words for who sent it, and the facts of its row that lead back there. */
const CALLERS = [
  ["cloudformation/create", "CloudFormation shop/Migrations", { resource: "Migrations" }],
  ["codepipeline/job", "CodePipeline ", { job: expect.any(String), revision: expect.any(String) }],
  ["codedeploy/before-allow-traffic", "CodeDeploy d-EBUDRRMNF", { deployment: "d-EBUDRRMNF" }],
  [
    "ecs/pre-scale-up",
    "ECS shop/web/EZe5RNVLH6PPzHXINuP28",
    { service: `${ECS}:service/shop/web` },
  ],
  ["http/function-url-post", "HTTP ", { identity: expect.stringMatching(/^arn:aws:/) }],
  ["step-functions/request", "Step Functions deploy:6b1f", { source: "direct" }],
] as const;

test("has a row for each caller, with the facts that lead back to it", async ({
  database,
  target,
}) => {
  const migrations = CALLERS.map((_, index) =>
    makeMigration(`000${index}_file`, 1_000 + index, `create table t${index} (id int)`),
  );
  for (const [index, [name]] of CALLERS.entries()) {
    const event = recordedEvent(name);
    const bundle = makeBundle(...migrations.slice(0, index + 1));
    const caller = await whoCalls(recognise(event).source, event);
    expect(await run(target, bundle, {}, { caller })).toMatchObject({ status: "applied" });
  }
  const rows = await database.sql(
    "select caller from drizzle.__drizzle_migrations_history order by id",
  );

  expect(rows).toMatchObject(CALLERS.map(([, , facts]) => ({ caller: facts })));
  const words = rows.map(({ caller }) => byOf({ caller: Object(caller), role: null }));
  for (const [index, [, by]] of CALLERS.entries()) expect(words[index]).toContain(by);
});

test("has the row of a call to the handler", async ({ database, target }) => {
  const bundle = makeBundle(makeMigration("0000_one", 1_000, "create table one (id int)"));
  const handler = handlerWith({
    ...{ bundle, logFor: () => silentLog },
    run: (request, dependencies) => migrate(request, { ...dependencies, target: () => target }),
  });
  await handler(
    { ...Object(recordedEvent("step-functions/request")), action: "up" },
    lambdaContext(),
  );

  expect(
    await database.sql("select caller, request_id from drizzle.__drizzle_migrations_history"),
  ).toEqual([
    {
      caller: { source: "direct", execution: expect.stringMatching(/:execution:/) },
      request_id: "request",
    },
  ]);
});

test("has the row of a person at the command line", async ({ database }) => {
  const folder = mkdtempSync(join(tmpdir(), "callers-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  copyExample(join(folder, "drizzle"), 1);
  const { exitCode } = await neonMigrateIn(folder, ["up", "--no-config", "--url", database.url]);

  expect(exitCode).toBe(0);
  expect(await database.sql("select caller from drizzle.__drizzle_migrations_history")).toEqual([
    { caller: { source: "cli", user: userInfo().username, host: hostname() } },
  ]);
});
