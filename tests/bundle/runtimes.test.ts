import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { LAMBDA_BUILD } from "../../build/lambda.ts";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";
import { lambdaEnvironment } from "../../local/lambda/lambda.ts";
import { type Outcome, Sandbox, type SandboxOptions } from "../../local/lambda/sandbox.ts";
import { accounts, booking, closeGate, slow, WRITTEN, written } from "../setup/bookings.ts";
import { createTestDatabase } from "../setup/database.ts";
import { type AuthoredMigration, prepareDeployment } from "../setup/deployment.ts";
import { expectReport } from "../setup/report-schema.ts";
import { type Runtime, runtimes } from "../setup/runtimes.ts";
import { waitFor } from "../setup/wait-for.ts";

/** A handler as people write it. */
const NAIVE = `
const circular = {};
circular.self = circular;
const late = () => { throw new Error("late"); };
const results = {
  bigint: { big: 1n },
  circular,
  odd: { date: new Date(0), nothing: undefined, nan: NaN, infinite: Infinity, lone: "\\ud800" },
  nothing: undefined,
  huge: "x".repeat(7_000_000),
};
export const handler = async ({ what }) => {
  if (what === "never") return new Promise(() => {});
  if (what === "uncaught") return new Promise(() => setTimeout(late, 10));
  if (what === "rejected") return new Promise(() => { Promise.reject(new Error("late")); });
  if (what === "late") setTimeout(late, 200);
  if (what === "slow") await new Promise((resolve) => setTimeout(resolve, 1_000));
  return what in results ? results[what] : what;
};
`;

/** Our handler around runs that go wrong in ways in which none should. */
const CORNERED = `
import { handlerWith } from "./tests/setup/handler.ts";
const bundle = { bundleVersion: 1, layout: "0.x", hash: "5f", migrations: [], warnings: [] };
const late = () => { throw new Error("late"); };
const never = new Promise(() => undefined);
const runs = {
  status: () => never,
  plan: () => { setTimeout(late, 10); return never; },
  up: () => { Promise.reject(new Error("late")); return never; },
};
export const handler = handlerWith({ bundle, run: (request) => runs[request.action]() });
`;

const scratch = mkdtempSync(join(tmpdir(), "runtimes-"));
const folders = { naive: join(scratch, "naive"), cornered: join(scratch, "cornered") };

beforeAll(async () => {
  for (const folder of Object.values(folders)) mkdirSync(folder);
  writeFileSync(join(folders.naive, "index.mjs"), NAIVE);
  await build({
    ...LAMBDA_BUILD,
    stdin: { contents: CORNERED, resolveDir: ".", loader: "ts" },
    outfile: join(folders.cornered, "index.mjs"),
    external: ["@aws-sdk/*"],
    splitting: false,
  });
});

afterAll(() => rmSync(scratch, { recursive: true }));

type Call = (event: object) => Promise<Outcome>;

/** Starts one process of a function, gives it to `use`, and ends it. */
async function inProcess<Result>(
  runtime: Runtime,
  folder: string,
  use: (call: Call, sandbox: Sandbox) => Promise<Result>,
  { environment = {}, movableClock = false }: Partial<SandboxOptions> = {},
): Promise<Result> {
  const sandbox = new Sandbox({
    ...runtime,
    ...{ taskRoot: folder, functionArn: LOCAL_FUNCTION_ARN, timeoutMs: 900_000 },
    movableClock,
    environment: { ...lambdaEnvironment(folder, LOCAL_FUNCTION_ARN), ...environment },
  });
  await sandbox.start();
  let calls = 0;
  try {
    return await use((event) => {
      calls += 1;
      return sandbox.invoke({ requestId: `call-${calls}`, event });
    }, sandbox);
  } finally {
    await sandbox.stop();
  }
}

/** What a caller sees, in short: a value, or the error's name and the end of its message. */
function seen({ payload, functionError }: Outcome): unknown {
  if (functionError === null) return payload;
  const { errorType, errorMessage } = Object(payload);
  return [errorType, String(errorMessage).replace(/^RequestId: \S+ Error: /, "")];
}

const DIED = ["Runtime.ExitError", "Runtime exited with error: exit status 1"];
const UNSERIALISABLE = ["Runtime.JSONStringifyError", "Unable to stringify response body"];

/** What a naive handler's callers see of a runtime (aws-lambda-ric 3.3.0 and 4.0.2). */
const NEWER = {
  never: ["Runtime.ExitError", "Runtime exited without providing a reason"],
  uncaught: DIED,
  rejected: DIED,
  unserialisable: UNSERIALISABLE,
};
const OLDER: typeof NEWER = {
  never: null as never,
  uncaught: ["Error", "late"],
  rejected: ["Runtime.UnhandledPromiseRejection", "Error: late"],
  unserialisable: ["Error", "Unable to stringify response body"],
};

describe.concurrent.each(runtimes())("in $name", (runtime) => {
  const line = runtime.name === "AWS' nodejs22.x" ? OLDER : NEWER;

  describe("a naive handler", () => {
    test.each(["never", "uncaught", "rejected"] as const)(
      "is not heard of when it is left: %s",
      async (what) => {
        const outcome = await inProcess(runtime, folders.naive, (call) => call({ what }));

        expect(seen(outcome)).toEqual(line[what]);
      },
    );

    test("fails the next call by what it throws after its answer", async () => {
      const outcomes = await inProcess(runtime, folders.naive, async (call) => {
        return [await call({ what: "late" }), await call({ what: "slow" })];
      });

      expect(outcomes.map(({ functionError }) => functionError)).toEqual([null, "Unhandled"]);
    });

    test("may return what JSON knows, and 6 MB of it", async () => {
      const outcomes = await inProcess(runtime, folders.naive, async (call) => {
        const all = [];
        for (const what of ["bigint", "circular", "odd", "nothing", "huge"])
          all.push(await call({ what }));
        return all;
      });

      expect(outcomes.map(seen)).toEqual([
        line.unserialisable,
        line.unserialisable,
        { date: "1970-01-01T00:00:00.000Z", nan: null, infinite: null, lone: "\ud800" },
        null,
        ["Function.ResponseSizeTooLarge", expect.stringContaining("6291556 bytes")],
      ]);
    });
  });

  describe("the function answers for a run", () => {
    const answers = (action: string) =>
      inProcess(
        runtime,
        folders.cornered,
        async (call, sandbox) => {
          const first = call({ action, onFailure: "return" });
          if (action === "status") {
            await waitFor(() => sandbox.busy);
            sandbox.leaveOnly(1);
          }
          return [await first, await call({ action: "up", onFailure: "return" })];
        },
        { movableClock: true },
      );

    test.each([
      ["that leaves nothing to wait for", "status", "DEADLINE", "did not stop in time"],
      ["that throws where nobody catches", "plan", "INTERNAL", "late"],
      ["that leaves a rejection alone", "up", "INTERNAL", "late"],
    ])("%s, and for the next one in the same process", async (_what, action, code, message) => {
      const outcomes = await answers(action);

      expect(outcomes.map(({ payload }) => expectReport(payload).error)).toMatchObject([
        { code, message: expect.stringContaining(message) },
        { code: "INTERNAL", message: expect.stringContaining("late") },
      ]);
    });

    test("whose server accepts, and never answers", async () => {
      const sockets = new Set<Socket>();
      const mute = createServer((socket) => void sockets.add(socket));
      onTestFinished(() => {
        for (const socket of sockets) socket.destroy();
        mute.close();
      });
      await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
      const bound = mute.address();
      const port = typeof bound === "object" ? bound?.port : null;
      const environment = {
        DATABASE_URL: "postgres://app:secret@ep-mute.neon.tech/db",
        NEON_WS_PROXY: `127.0.0.1:${port}`,
        CONNECT_TIMEOUT_MS: "900000",
      };

      const outcome = await inProcess(
        runtime,
        inject("assetFolder"),
        async (call, sandbox) => {
          const calling = call({ onFailure: "return" });
          await waitFor(() => sockets.size > 0);
          sandbox.leaveOnly(CANCELLING_MS);
          return await calling;
        },
        { environment, movableClock: true },
      );

      expect(expectReport(outcome.payload).error?.code).toBe("DEADLINE");
    });

    test("whose server is lost without a word, and is not ended by what is left of it", async () => {
      const { database, deployment, relay, gate } = await deploy(runtime, accounts, booking, slow);

      const calling = deployment.deliver({ requestId: "lost", event: RETURN });
      await gate.reached();
      relay.silence();
      deployment.leaveOnly(CANCELLING_MS);
      const lost = await calling;
      relay.cutAll();
      relay.silence(false);
      await gate.open();
      const next = await deployment.deliver({ requestId: "next", event: RETURN });

      expect([lost, next].map(saying)).toEqual(["DEADLINE", "applied"]);
      expect(deployment.starts()).toBe(1);
      expect(await written(database)).toEqual(WRITTEN.upToSlow);
    });

    test("that meets numbers, times and texts that JSON has not", async () => {
      const notice = "do $$ begin raise notice '%', repeat('ß', 4000000); end $$";
      const selects = "select 9223372036854775807::bigint, 'infinity'::timestamptz, 'NaN'::float8";
      const odd = { ...accounts, statements: [...accounts.statements, selects, notice] };
      const { database, deployment } = await deploy(runtime, odd);

      const applied = await deployment.deliver({ requestId: "applied", event: RETURN });
      await database.sql(
        `insert into drizzle.__drizzle_migrations (hash, created_at)
         values ('5f', 9223372036854775807), ('5e', -1), (repeat('x', 7000000), null)`,
      );
      const status = await deployment.deliver({
        requestId: "status",
        event: { ...RETURN, action: "status" },
      });

      expect([applied, status].map(saying)).toEqual(["applied", "up-to-date"]);
      expect(expectReport(status.payload).drift.unknown).toHaveLength(3);
      expect(expectReport(applied.payload).notices[0]?.message).toMatch(/^ß{999999}…$/);
      expect(expectReport(status.payload).warnings.map(({ code }) => code)).toContain(
        "REPORT_SHORTENED",
      );
    });
  });
});

/** The function keeps ten seconds of its time for cancelling what runs, and the last five for answering anyway. */
const CANCELLING_MS = 8_000;
const RETURN = { onFailure: "return" };
const cleanups: (() => Promise<unknown>)[] = [];

afterAll(async () => {
  for (const clean of cleanups) await clean();
});

function saying({ payload }: Outcome): string {
  const { status, error } = expectReport(payload);
  return error?.code ?? status;
}

/** The function in front of a database of its own. */
async function deploy(runtime: Runtime, ...migrations: readonly AuthoredMigration[]) {
  const database = await createTestDatabase();
  const gate = await closeGate(database);
  const relay = await database.startRelay({ mode: "neon" });
  const environment = { DATABASE_URL: database.url, NEON_WS_PROXY: relay.address };
  const deployment = prepareDeployment(environment, { runtime, movableClock: true });
  cleanups.push(() => deployment.remove().then(() => database.close()));
  await deployment.deploy(...migrations);
  return { database, deployment, gate, relay };
}
