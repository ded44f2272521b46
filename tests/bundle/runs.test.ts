import { once } from "node:events";
import { createServer } from "node:net";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from "vitest";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";
import type { Relay } from "../../local/relay/relay.ts";
import { accounts, booking, broken, closeGate, slow, WRITTEN, written } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, type DeploymentOptions, prepareDeployment } from "../setup/deployment.ts";
import { type HeldQueue, startHeldQueue } from "../setup/held-queue.ts";
import { recordedEvent } from "../setup/recorded-events.ts";
import { expectReport, expectRun } from "../setup/report-schema.ts";
import { waitFor } from "../setup/wait-for.ts";

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: every test says what it expects in it
  readonly body: any;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const RUNS = "drizzle.__drizzle_migrations_runs";

let database: TestDatabase;
let queue: HeldQueue;
let relay: Relay;
let environment: Readonly<Record<string, string>>;
let deployment: Deployment;
let requests = 0;

async function setUp(): Promise<void> {
  database = await createTestDatabase();
  queue = await startHeldQueue({ functionArn: LOCAL_FUNCTION_ARN });
  relay = await database.startRelay({ mode: "neon" });
  environment = {
    ...{ DATABASE_URL: database.url, NEON_WS_PROXY: relay.address },
    ...queue.environment,
  };
  deployment = prepareDeployment(environment);
}

async function tearDown(): Promise<void> {
  await deployment.remove();
  await queue.stop();
  await database.close();
}

/** Replaces the deployment by one with other settings. */
async function redeploy(
  changes: Readonly<Record<string, string>>,
  options: DeploymentOptions = {},
): Promise<void> {
  await deployment.remove();
  deployment = prepareDeployment({ ...environment, ...changes }, options);
}

async function call(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const event = Object(recordedEvent("http/function-url-post-without-body"));
  const http = { ...event.requestContext.http, method, path };
  requests += 1;
  const { payload } = await deployment.deliver({
    requestId: `call-${requests}`,
    functionArn: `${deployment.functionArn}:live`,
    event: {
      ...{ ...event, rawPath: path, headers: { ...event.headers, ...headers } },
      requestContext: { ...event.requestContext, http },
    },
  });
  const { statusCode, headers: answered, body } = Object(payload);
  const told = JSON.parse(body);
  return {
    ...{ statusCode, headers: answered },
    body: statusCode < 300 ? expectRun(told) : expectReport(told),
  };
}

const begin = () => call("POST", "/migrations", { Prefer: "respond-async, wait=10" });
const look = ({ body }: Answer) => call("GET", body.statusUrl);
const deliverLast = (requestId = "the-run") =>
  deployment.deliver({ requestId, event: queue.held.at(-1)?.event });

/** Refuses connections on a port. Whenever some were refused, so much time passes that no other is worth while. */
async function letTimeToConnectPass(port: number): Promise<void> {
  let [refused, leftMs] = [0, 900_000];
  const server = createServer((socket) => {
    refused += 1;
    if (refused % 2 === 0) {
      leftMs -= 60_000;
      deployment.leaveOnly(leftMs);
    }
    socket.on("error", () => undefined).destroy();
  });
  server.listen(port, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
}

describe("a run", () => {
  beforeEach(setUp);

  afterEach(tearDown);

  test("a run is begun by one call, carried out by another, and told of by a third", async () => {
    // Dates in the style of a country are no reason to fail behind the row and the call.
    await database.sql(`alter role ${database.owner.name} set datestyle = 'German'`);
    await deployment.deploy(accounts, booking);

    const begun = await begin();
    const queued = await look(begun);
    const { payload, functionError } = await deliverLast();
    const finished = await look(begun);

    expect(begun).toEqual({
      statusCode: 202,
      headers: expect.objectContaining({
        location: `/migrations/runs/${begun.body.runId}`,
        "preference-applied": "respond-async",
        "retry-after": "2",
      }),
      body: {
        ...{ schemaVersion: 1, runId: expect.stringMatching(UUID), state: "queued" },
        ...{ statusUrl: `/migrations/runs/${begun.body.runId}`, message: expect.any(String) },
        ...{
          requestedBy: "arn:aws:iam::123456789012:user/deployer",
          requestedAt: expect.any(String),
        },
        ...{ startedAt: null, seenAt: null, finishedAt: null, requestId: null },
        ...{ progress: null, report: null },
      },
    });
    expect(queue.held.map(({ functionArn }) => functionArn)).toEqual([
      `${deployment.functionArn}:live`,
    ]);
    expect(queued).toMatchObject({ statusCode: 200, headers: { "retry-after": "2" } });
    expect(queued.body).toEqual(begun.body);
    expect([payload, functionError]).toEqual([null, null]);
    expect(finished.headers["retry-after"]).toBeUndefined();
    expect(finished.body).toMatchObject({ state: "finished", requestId: "the-run", message: null });
    expect(expectReport(finished.body.report)).toMatchObject({
      status: "applied",
      latest: "0001_booking",
    });
    expect(await written(database)).toEqual(WRITTEN.upToBooking);
  });

  test("says how far a run is whose transaction nobody sees into, and waits for none of its locks", async () => {
    const gate = await closeGate(database);
    await deployment.deploy(accounts, booking, slow);
    const begun = await begin();
    const running = deliverLast();
    await gate.reached();

    let seen: Answer | null = null;
    await waitFor(async () => {
      seen = await look(begun);
      return seen.body.progress !== null;
    });
    const again = await deliverLast("a-duplicate");
    await gate.open();
    await running;

    expect(seen).toMatchObject({
      headers: { "retry-after": "2" },
      body: {
        ...{ state: "running", requestId: "the-run", finishedAt: null, report: null },
        progress: { migration: "0002_slow", done: 5, total: 6 },
      },
    });
    expect([again.payload, again.functionError]).toEqual([null, null]);
    expect((await look(begun)).body).toMatchObject({
      state: "finished",
      requestId: "the-run",
      progress: null,
      report: { status: "applied" },
    });
    expect(await written(database)).toEqual(WRITTEN.upToSlow);
  });

  test("an event that is delivered once more, when the run is over, runs nothing", async () => {
    await deployment.deploy(accounts, broken);
    const begun = await begin();

    await deliverLast();
    const { payload, functionError } = await deliverLast("a-duplicate");
    const { body } = await look(begun);

    expect([payload, functionError]).toEqual([null, null]);
    expect(body).toMatchObject({
      state: "finished",
      requestId: "the-run",
      report: { status: "failed", error: { code: "MIGRATION_FAILED", migration: "0002_broken" } },
    });
  });

  test("a run that was killed is lost once its session is gone and it has been silent for long", async () => {
    const gate = await closeGate(database);
    await deployment.deploy(accounts, booking, slow);
    const begun = await begin();
    void deliverLast();
    const backend = await gate.reached();
    const silence = () =>
      database.sql(`update ${RUNS} set seen_at = now() - interval '1 minute', state = 'running'`);

    await silence();
    const connected = await look(begun);
    await deployment.kill();
    await waitFor(async () => !(await gate.busy()));
    await silence();
    const lost = await look(begun);

    expect(backend).toEqual(expect.any(Number));
    expect(connected.body.state).toBe("running");
    expect(lost).toMatchObject({ statusCode: 200, body: { state: "lost", requestId: "the-run" } });
    expect(lost.body.message).toMatch(
      /What was committed stays, the rest is rolled back\. .*again/,
    );
    expect(await written(database)).toEqual(WRITTEN.nothing);
    expect(lost.headers["retry-after"]).toBeUndefined();
  });

  test("the outcome is written down of a run whose time is over", async () => {
    const gate = await closeGate(database);
    await redeploy({}, { movableClock: true });
    await deployment.deploy(accounts, booking, slow);
    const begun = await begin();

    const running = deliverLast();
    await gate.reached();
    deployment.leaveOnly(8_000);
    const { functionError } = await running;
    const { body } = await look(begun);

    expect(functionError).toBeNull();
    expect(body).toMatchObject({ state: "finished", report: { error: { code: "DEADLINE" } } });
    expect(await written(database)).toEqual(WRITTEN.nothing);
  });

  test("a run whose database has gone when it ends says so to Lambda, and is lost in time", async () => {
    const gate = await closeGate(database);
    await redeploy({}, { movableClock: true });
    await deployment.deploy(accounts, booking, slow);
    const begun = await begin();
    const running = deliverLast();
    await gate.reached();

    await relay.stop();
    await letTimeToConnectPass(relay.port);
    const { functionError, payload } = await running;
    const { address } = await database.startRelay({ mode: "neon" });
    await redeploy({ NEON_WS_PROXY: address });
    await deployment.deploy(accounts, booking, slow);
    // The server looks every second whether the run still lives.
    await waitFor(async () => !(await gate.busy()));
    await database.sql(`update ${RUNS} set seen_at = now() - interval '1 minute'`);
    const lost = await look(begun);

    expect(functionError).toBe("Unhandled");
    // The time may be over within an attempt that nobody has refused yet.
    const gone = expect.stringMatching(/^(UNREACHABLE|CONNECT_TIMEOUT)$/);
    expect(payload).toMatchObject({ errorType: gone });
    expect(lost.body).toMatchObject({ state: "lost", requestId: "the-run", report: null });
    expect(await written(database)).toEqual(WRITTEN.nothing);
  });

  test("runs are written down in public by a role that may create no schema", async () => {
    const role = await database.createRole("tenant");
    await database.sql(`grant create on schema public to ${role.name}`);
    await redeploy({ DATABASE_URL: database.urlOf(role) });
    await deployment.deploy(accounts);

    const begun = await begin();
    await deliverLast();

    expect((await look(begun)).body).toMatchObject({
      state: "finished",
      report: { status: "applied" },
    });
    expect(await database.sql("select from public.__drizzle_migrations_runs")).toHaveLength(1);
  });

  test.each<[string, string]>([
    [
      "a stranger's table, whose trigger would run as ourselves",
      `create table RUNS (like pattern including all);
       create trigger spy before insert on RUNS for each row execute function spy()`,
    ],
    [
      "a stranger's table, whose policy would run as ourselves",
      `create table RUNS (like pattern including all); alter table RUNS enable row level security;
       create policy spy on RUNS using (spied()) with check (spied())`,
    ],
    ["a stranger's view", "create view RUNS as select * from pattern where spied()"],
  ])("nothing is written down in %s", async (_what, sql) => {
    const role = await database.createRole("tenant");
    const stranger = await database.createRole("stranger");
    await database.sql(`grant usage, create on schema public to ${role.name}, ${stranger.name}`);
    await redeploy({ DATABASE_URL: database.urlOf(role) });
    await deployment.deploy(accounts);
    await begin();
    await database.sql(
      `create table seen (who text); grant all on seen to public;
       alter table public.__drizzle_migrations_runs rename to pattern;
       grant all on pattern to public; set role ${stranger.name};
       create function spied() returns boolean language sql as 'insert into public.seen values (current_user) returning true';
       create function spy() returns trigger language plpgsql as 'begin perform public.spied(); return new; end';
       ${sql.replaceAll("RUNS", "public.__drizzle_migrations_runs")};
       grant all on public.__drizzle_migrations_runs to public; reset role`,
    );

    const refused = await begin();
    const unknown = await call("GET", "/migrations/runs/00000000-0000-4000-8000-000000000000");

    expect(refused.body.error).toMatchObject({ code: "LEDGER_FOREIGN" });
    expect(refused.body.error.message).toContain(`"${stranger.name}"`);
    expect(refused.body.error.message).toContain("Nothing of it was read, and nothing was run.");
    expect(await written(database)).toEqual(WRITTEN.nothing);
    expect(unknown.statusCode).toBe(404);
    expect(await database.sql("select * from seen")).toEqual([]);
  });

  test("of those who begin the first run at once nobody is in the other's way, and the table stays small", async () => {
    await deployment.deploy(accounts);

    const begun = await Promise.all(Array.from({ length: 4 }, begin));
    await database.sql(
      `insert into ${RUNS} (id, state, request, requested_at, finished_at)
     select gen_random_uuid(), 'finished', '{}', now() - n * interval '1 minute', now() from generate_series(1, 300) n`,
    );
    const last = await begin();

    const [row] = await database.sql(`select count(*)::int as n from ${RUNS}`);
    expect([...begun, last].map(({ statusCode }) => statusCode)).toEqual(Array(5).fill(202));
    // Those that are under way, and 99 that are over.
    expect(row).toEqual({ n: 5 + 99 });
  });

  test("rights that are taken away between the calls, and a table that is another one, are called so", async () => {
    await deployment.deploy(accounts);
    const begun = await begin();
    const { name } = database.owner;
    await database.sql(`alter table ${RUNS} owner to postgres; grant select on ${RUNS} to ${name}`);

    const revoked = await deliverLast();
    await database.sql(`revoke select on ${RUNS} from ${name}`);
    const hidden = await look(begun);
    await database.sql(`alter table ${RUNS} owner to ${name}; alter table ${RUNS} drop request`);
    const other = await begin();

    expect(revoked.payload).toMatchObject({ errorType: "LEDGER_DENIED" });
    expect([hidden, other].map(({ body }) => body.error)).toMatchObject([
      { code: "LEDGER_DENIED", message: expect.stringContaining(`grant select, insert`) },
      { code: "LEDGER_UNKNOWN_FORMAT", message: expect.stringContaining("Drop or rename it") },
    ]);
    expect(await written(database)).toEqual(WRITTEN.nothing);
  });

  test("nothing is run while the database cannot be reached", async () => {
    await redeploy({ NEON_WS_PROXY: "127.0.0.1:1/v2", CONNECT_TIMEOUT_MS: "300" });
    await deployment.deploy(accounts);

    const begun = await begin();

    expect(begun).toMatchObject({ statusCode: 503, headers: { "retry-after": "5" } });
    expect(queue.held).toEqual([]);
  });

  test("nothing is run where the role may not write it down anywhere", async () => {
    const role = await database.createRole("guest");
    await database.sql("revoke create on schema public from public");
    await redeploy({ DATABASE_URL: database.urlOf(role) });
    await deployment.deploy(accounts);

    const begun = await begin();

    expect(begun.body.error).toMatchObject({ code: "LEDGER_DENIED", sqlstate: "42501" });
    expect(begun.body.error.message).toContain('create schema "drizzle"; grant usage, create');
    expect(queue.held).toEqual([]);
  });
});

describe("nothing is run, and no id is handed out", () => {
  beforeAll(async () => {
    await setUp();
    await deployment.deploy(accounts);
  });

  afterAll(tearDown);

  test("where Lambda does not take the run, which is asked once", async () => {
    queue.refuse(1, "TooManyRequestsException");
    const throttled = await begin();

    const rows = await database.sql(`select state, report->'error'->>'code' as code from ${RUNS}`);
    expect(throttled).toMatchObject({
      statusCode: 503,
      headers: { "retry-after": "5" },
      body: { error: { code: "RUN_NOT_STARTED", retryable: true } },
    });
    expect(throttled.body.error.message).toContain("and nothing was run: TooManyRequestsException");
    expect(queue.held).toEqual([]);
    expect(await written(database)).toEqual(WRITTEN.nothing);
    expect(rows).toEqual([{ state: "finished", code: "RUN_NOT_STARTED" }]);
  });

  test("where nobody knows whether Lambda has taken it: should it come, it is not carried out", async () => {
    queue.cut(1);
    const begun = await begin();

    const { payload, functionError } = await deliverLast();

    expect(begun.body.error).toMatchObject({ code: "RUN_NOT_STARTED" });
    expect([queue.held.length, payload, functionError]).toEqual([1, null, null]);
    expect(await written(database)).toEqual(WRITTEN.nothing);
  });

  test("for a run that Lambda has given up, and that says so", async () => {
    const begun = await begin();
    await database.sql(`update ${RUNS} set requested_at = now() - interval '7 hours'`);

    const { body } = await look(begun);

    expect(body).toMatchObject({ state: "lost", startedAt: null });
    expect(body.message).toContain("could not reach the database. Nothing was run.");
    expect(await written(database)).toEqual(WRITTEN.nothing);
  });

  test("for an event that nobody has begun a run for", async () => {
    await begin();
    const event = {
      "neon-migrate.run": { id: "00000000-0000-4000-8000-000000000000", request: {} },
    };

    const { payload } = await deployment.deliver({ requestId: "made-up", event });

    expect(payload).toMatchObject({ errorType: "RUN_NOT_FOUND" });
    expect(await written(database)).toEqual(WRITTEN.nothing);
  });

  test("no run is known by an id that was not handed out", async () => {
    const unknown = "/migrations/runs/00000000-0000-4000-8000-000000000000";

    const beforeAny = await call("GET", unknown);
    await begin();
    const answers = [
      await call("GET", unknown),
      await call("GET", "/migrations/runs/'; drop table accounts; --"),
      await call("DELETE", unknown),
    ];

    expect(
      [beforeAny, ...answers].map(({ statusCode, body }) => [statusCode, body.error.code]),
    ).toEqual([
      [404, "RUN_NOT_FOUND"],
      [404, "RUN_NOT_FOUND"],
      [404, "RUN_NOT_FOUND"],
      [405, "METHOD_NOT_ALLOWED"],
    ]);
    expect(answers[2]?.headers.allow).toBe("GET");
  });
});
