import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { callFunction, type FunctionCall } from "../../../bin/invoke/call-function.ts";
import { invokeCommand } from "../../../bin/invoke/command.ts";
import { reportIn } from "../../../bin/invoke/report-in-answer.ts";
import {
  buildReport,
  describePending,
  failedReport,
  type Report,
} from "../../../lib/report/report.ts";
import { LOCAL_FUNCTION_ARN } from "../../../local/aws/account.ts";
import type { LambdaOptions } from "../../../local/lambda/lambda.ts";
import { type LocalLambdaService, startLambdaService } from "../../../local/lambda/service.ts";
import { stopDate } from "../../setup/clock.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";
import { deploySource } from "../../setup/local-function.ts";
import { makeMigration } from "../../setup/make-migration.ts";
import { neonMigrate } from "../../setup/neon-migrate.ts";
import { runOnTerminal } from "../../setup/terminal.ts";
import { waitFor } from "../../setup/wait-for.ts";

const KEEP_ALIVE_TIMER = "02";
const REPORT = buildReport("1", "up-to-date", {});
const ANSWERS = `export const handler = async () => (${JSON.stringify(REPORT)});`;

let service: LocalLambdaService;

beforeEach(async () => {
  service = await startLambdaService();
  for (const [name, value] of Object.entries(service.environment)) vi.stubEnv(name, value);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await service.stop();
});

async function deploy(source: string, options: Omit<LambdaOptions, "handlerDirectory"> = {}) {
  service.deploy(await deploySource(source, options), { aliases: ["live"] });
}

/** A handler that streams: it waits for a file in the middle of its second line, and ends as it is told. */
async function deployStream(gate: string, end: Report | "dies" = REPORT): Promise<void> {
  const last = end === "dies" ? "" : JSON.stringify({ type: "report", report: end });
  const source = `
    import { existsSync } from "node:fs";
    import { setTimeout } from "node:timers/promises";
    export const stream = awslambda.streamifyResponse(async (event, stream) => {
      stream.write('{"type":"progress","event":"alive"}\\n{"type":"progress",');
      while (!existsSync(${JSON.stringify(gate)})) await setTimeout(5);
      stream.write('"event":"lock.waiting"}\\n');
      if (${end === "dies"}) process.exit(1);
      stream.write(${JSON.stringify(`${last}\n`)});
      if (${end !== "dies" && end.status === "failed"}) throw new Error("marked");
      stream.end();
    });`;
  await deploy(source, { environment: { _HANDLER: "index.stream" } });
}

function call(changes: Partial<FunctionCall> = {}) {
  const log = vi.fn();
  const answer = callFunction({
    functionName: "neon-migrations",
    payload: "{}",
    patienceMs: 120_000,
    log,
    ...changes,
  });
  return { log, answer };
}

/** What `invoke` makes of the call. */
async function outcome(changes: Partial<FunctionCall> = {}) {
  return reportIn(await call(changes).answer, "neon-migrations");
}

describe("a call that gets its answer", () => {
  test.each(["neon-migrations", "neon-migrations:live", `${LOCAL_FUNCTION_ARN}:live`])(
    "reaches %s",
    async (functionName) => {
      await deploy(ANSWERS);

      expect(await outcome({ functionName })).toEqual(REPORT);
    },
  );

  test("takes the region from the ARN", async () => {
    await deploy(ANSWERS);
    vi.stubEnv("AWS_REGION", "us-east-1");

    expect(await outcome({ functionName: LOCAL_FUNCTION_ARN })).toEqual(REPORT);
  });

  test("brings the end of the log along where it is asked for", async () => {
    await deploy(`export const handler = async () => { console.log("hello"); return 1; };`);

    const { logTail, error, payload } = await call({ onLine: () => undefined }).answer;

    expect(logTail).toMatch(/^START .*\nhello\nEND .*\nREPORT /);
    expect({ error, payload }).toEqual({ error: null, payload: "1" });
  });

  test.each([
    ["waiting for the whole answer", {}],
    ["following its stream", { onLine: () => undefined }],
  ])("finds the report in what the function threw, %s", async (_how, changes) => {
    const report = failedReport("2", new Error("odd"));
    const message = JSON.stringify(`Two\nlines.\n${JSON.stringify(report)}`);
    await deploy(`export const handler = async () => {
      throw Object.assign(new Error(${message}), { name: "INTERNAL" });
    };`);

    expect(await outcome(changes)).toEqual(report);
  });

  test("hands the lines of a stream on as they come, and finds the report in the last one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "gate-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const gate = join(folder, "open");
    await deployStream(gate);
    const lines: string[] = [];
    const onLine = (line: string) => {
      lines.push(line);
      writeFileSync(gate, "");
    };

    const report = await outcome({ onLine });
    const atOnce = await outcome();

    expect(lines.map((line) => JSON.parse(line).event)).toEqual([
      "alive",
      "lock.waiting",
      undefined,
    ]);
    expect([report, atOnce]).toEqual([REPORT, REPORT]);
  });

  test("follows a stream on a terminal, unless it is told not to", async () => {
    const folder = await mkdtemp(join(tmpdir(), "gate-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const gate = join(folder, "open");
    const source = `
      import { existsSync } from "node:fs";
      import { setTimeout } from "node:timers/promises";
      export const stream = awslambda.streamifyResponse(async (event, stream) => {
        stream.write('{"type":"progress","event":"lock.waiting"}\\n');
        while (!existsSync(${JSON.stringify(gate)})) await setTimeout(5);
        stream.end(${JSON.stringify(`${JSON.stringify({ type: "report", report: REPORT })}\n`)});
      });`;
    await deploy(source, { environment: { _HANDLER: "index.stream" } });
    const words = ["invoke", "neon-migrations"];

    const following = runOnTerminal(words, service.environment);
    await following.sees(/▸ Another run holds the migration lock\. Waiting for it\. {2}\d+ s/);
    writeFileSync(gate, "");
    const silent = runOnTerminal([...words, "--no-tail"], service.environment);

    expect([await following.ended(), await silent.ended()]).toEqual([0, 0]);
    expect(silent.written()).toContain("▸ The function runs");
    expect(silent.written()).not.toContain("Another run");
  });

  test("finds the report in a stream that is marked as failed, and takes one without for unknown", async () => {
    const report = failedReport("2", new Error("odd"));
    await deployStream(import.meta.filename, report);
    const whole = await outcome({ onLine: () => undefined });
    await deployStream(import.meta.filename, "dies");

    expect(whole).toEqual(report);
    await expect(outcome({ onLine: () => undefined })).rejects.toMatchObject({
      code: "RUN_UNKNOWN",
      message: expect.stringContaining("Runtime.ExitError"),
    });
  });

  test("makes a report of a code whose own was cut off", async () => {
    await deploy(`export const handler = async () => {
      throw Object.assign(new Error("Somebody has it.\\n{\\"schema"), { name: "LOCKED" });
    };`);

    expect(await outcome()).toMatchObject({
      status: "failed",
      error: { code: "LOCKED", message: "Somebody has it." },
    });
  });

  // The operating system says which timers a connection has, and only Linux says it in a file.
  test.runIf(existsSync("/proc/net/tcp"))(
    "keeps the idle connection known to what stands between",
    async () => {
      await deploy("export const handler = () => new Promise((end) => setTimeout(end, 900_000));");

      const ended = expect(call().answer).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
      await waitFor(() => timersTo(service.url).includes(KEEP_ALIVE_TIMER));
      await service.stop();
      await ended;
    },
  );
});

/** The kinds of timers of the connections to this address (proc(5), `/proc/net/tcp`). */
function timersTo(url: string): readonly string[] {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote, state]) => remote === `0100007F:${port}` && state === "01")
    .map((columns) => columns[5]?.split(":")[0] ?? "");
}

describe("a call that may have started the function", () => {
  test("is never repeated, unlike the SDK's own", async () => {
    await deploy(ANSWERS);
    service.cut(9);

    await expect(call().answer).rejects.toMatchObject({
      code: "RUN_UNKNOWN",
      message: expect.stringMatching(/was not called again.*--action status$/s),
      facts: { retryable: true },
    });
    const ours = service.calls.length;
    const byDefault = new LambdaClient({}).send(
      new InvokeCommand({ FunctionName: "neon-migrations" }),
    );
    await expect(byDefault).rejects.toMatchObject({ code: "ECONNRESET" });
    await service.idle();

    expect([ours, service.calls.length - ours]).toEqual([1, 3]);
  });

  test("is not repeated after an error of the service itself either", async () => {
    await deploy(ANSWERS);
    service.refuse(1, "ServiceException");

    await expect(call().answer).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    expect(service.calls).toEqual([]);
  });

  test.each([
    ["ends its process", "process.exit(3)", /did not finish .*Runtime\.ExitError/],
    ["never settles", "await new Promise(() => {})", /did not finish .*Runtime\.ExitError/],
    ["answers too much", 'return "x".repeat(7e6)', /did not finish .*ResponseSizeTooLarge/],
  ])("is not known where the function %s", async (_what, body, message) => {
    await deploy(`export const handler = async () => { ${body}; };`);

    await expect(outcome()).rejects.toMatchObject({
      code: "RUN_UNKNOWN",
      message: expect.stringMatching(message),
    });
    expect(service.calls).toHaveLength(1);
  });
});

describe("a plan of a function", () => {
  const SQL = "create table notes (\n  id int\n);";

  /** What a function plans that has these texts, and a folder that has the first. */
  async function planOf(...texts: readonly string[]) {
    const migrations = texts.map((text, index) =>
      makeMigration(`000${index}_m`, 1_000 + index, text),
    );
    const report = buildReport("1", "planned", {
      pending: migrations.map((each) => describePending(each, [], 0)),
      steps: [
        {
          kind: "transaction",
          slices: migrations.map(({ tag }) => ({ migration: tag, statements: [1] })),
        },
      ],
    });
    await deploy(`export const handler = async () => (${JSON.stringify(report)});`);
    const folder = await mkdtemp(join(tmpdir(), "plan-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    writeJournaledFolder(folder, [{ tag: "0000_m", when: 1_000, sql: SQL }]);
    return folder;
  }

  const words = ["invoke", "neon-migrations", "--action", "plan"];
  const plan = (...more: readonly string[]) =>
    neonMigrate([...words, ...more], { ...service.environment });

  test("has the SQL of a folder with the same texts", async () => {
    const folder = await planOf(SQL);

    const without = await plan();
    const short = await plan("--folder", folder);
    const whole = await plan("--folder", folder, "--sql");

    expect(without.stdout).not.toContain("create table");
    expect(without.stdout).toContain("add --folder FOLDER.");
    expect(short.stdout).toContain("\n  1  create table notes ( …\n");
    expect(whole.stdout).toContain("\n  1  create table notes (\n       id int\n     );\n");
  });

  test.each([
    ["another text", ["create table other ()"], "0000_m"],
    ["one more", [SQL, "create table more ()"], "0001_m"],
  ])("has none of a migration of which the folder has %s", async (_, texts, tag) => {
    const folder = await planOf(...texts);

    const { stdout, stderr, exitCode } = await plan("--folder", folder, "--sql");

    expect(exitCode).toBe(0);
    expect(stderr).toContain(`The folder does not have ${tag} as the report means it.`);
    expect(stdout).toContain(`· ${tag}  1 statement`);
    expect(stdout.includes("create table notes")).toBe(texts.includes(SQL));
  });

  test("is not asked for with a folder that cannot be read, or with --sql alone", async () => {
    const broken = await plan("--folder", "no-such-folder");
    const alone = await plan("--sql");

    expect([broken.exitCode, alone.exitCode]).toEqual([1, 2]);
    expect(broken.stderr).toContain("FOLDER_NOT_FOUND");
    expect(alone.stderr).toContain("error: --sql needs --folder");
  });
});

test.each([408, 413, 499])(
  "a call is not known where something on the way answers with %i, without a word of Lambda's",
  async (status) => {
    const proxy = createServer((_request, response) => {
      response.writeHead(status, { "content-type": "text/html" }).end("<html>No.</html>");
    });
    proxy.listen(0, "127.0.0.1");
    onTestFinished(() => void proxy.close());
    await once(proxy, "listening");
    const address = proxy.address();
    const port = typeof address === "object" ? address?.port : 0;
    vi.stubEnv("AWS_ENDPOINT_URL_LAMBDA", `http://127.0.0.1:${port}`);

    await expect(outcome()).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  },
);

test("a call is not known where the function takes longer than it may", async () => {
  await deploy("export const handler = () => { for (;;); };", { timeoutMs: 200 });

  await expect(outcome()).rejects.toMatchObject({
    code: "RUN_UNKNOWN",
    message: expect.stringMatching(/did not finish .*Sandbox\.Timedout.*Task timed out/),
  });
});

describe("a call that starts nothing", () => {
  test.each([
    "TooManyRequestsException",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "CodeArtifactUserPendingException",
  ])("is repeated after a %s, and runs once", async (type) => {
    await deploy(ANSWERS);
    service.refuse(1, type);

    const { answer, log } = call();
    await answer;

    expect(service.calls).toHaveLength(1);
    expect(log.mock.calls.map(([event]) => event)).toEqual(["invoke.retry"]);
  });

  test("is repeated by the command however short the wait for the lock: a function may have to be woken", async () => {
    await deploy(ANSWERS);
    service.refuse(1, "ResourceNotReadyException");
    const printed = vi.spyOn(console, "log").mockReturnValue();
    onTestFinished(() => printed.mockRestore());
    const action = "up" as const;
    const options = { action, functionName: "neon-migrations", lockTimeoutMs: 0 };

    const code = await invokeCommand({ ...options, json: true, tail: false, exitCode: false });

    expect([code, service.calls.length]).toEqual([0, 1]);
  });

  test("is given up when its patience ends", async () => {
    await deploy(ANSWERS);
    service.refuse(9, "TooManyRequestsException");

    await expect(call({ patienceMs: 0 }).answer).rejects.toMatchObject({
      code: "FUNCTION_UNAVAILABLE",
      message: expect.stringMatching(/^Lambda has no room .* Nothing was run\.$/),
      facts: { retryable: true },
    });
    expect(service.calls).toEqual([]);
  });

  test("says who is not there, who may not, and what is missing", async () => {
    await deploy(ANSWERS);
    const said: string[] = [];
    const code = (changes: Partial<FunctionCall> = {}) =>
      call({ patienceMs: 0, ...changes }).answer.then(
        () => "none",
        ({ code: found, message }) => {
          if (found !== "FUNCTION_NOT_FOUND") said.push(message);
          return found;
        },
      );

    expect(await code({ functionName: "nobody" })).toBe("FUNCTION_NOT_FOUND");
    expect(await code({ functionName: "neon-migrations:old" })).toBe("FUNCTION_NOT_FOUND");
    expect(await code({ functionName: "not a name" })).toBe("FUNCTION_UNAVAILABLE");
    service.refuse(1, "AccessDeniedException");
    expect(await code()).toBe("FUNCTION_DENIED");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "guessed");
    expect(await code()).toBe("FUNCTION_DENIED");
    vi.stubEnv("AWS_REGION", "");
    expect(await code()).toBe("AWS_SETTINGS_MISSING");
    vi.stubEnv("AWS_REGION", undefined);
    vi.stubEnv("AWS_CONFIG_FILE", "/nowhere");
    expect(await code()).toBe("AWS_SETTINGS_MISSING");
    vi.stubEnv("AWS_ACCESS_KEY_ID", undefined);
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    expect(await code({ functionName: LOCAL_FUNCTION_ARN })).toBe("AWS_SETTINGS_MISSING");
    expect(said).toEqual([
      expect.stringMatching(/^Lambda does not start .* Nothing was run\.$/),
      ...Array(2).fill(
        expect.stringMatching(/need lambda:InvokeFunction on it\. Nothing was run\./),
      ),
      ...Array(2).fill(expect.stringMatching(/name the function by its ARN\. Nothing was run\./)),
      expect.stringMatching(/or give this job a role\. Nothing was run\./),
    ]);
    expect(service.calls).toEqual([]);
  });

  test("tries an address again that cannot be reached, for a few seconds", async () => {
    vi.stubEnv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9");
    const pass = stopDate();

    const { answer, log } = call();
    // The pause in front of a third attempt fits into three seconds, that in front of a fourth does not.
    log.mockImplementation(() => pass(1_000));

    await expect(answer).rejects.toMatchObject({
      code: "FUNCTION_UNAVAILABLE",
      message: expect.stringMatching(/could not be reached .*ECONNREFUSED.*Nothing was run/s),
    });
    expect(log.mock.calls.map(([event]) => event)).toEqual(["invoke.retry", "invoke.retry"]);
  });
});

test.each([
  ["another value", "return { ok: true };", /gave no report.*\{"ok":true\}/],
  ["nothing", "", /gave no report.*null/],
  ["an error of its own", 'throw new TypeError("boom");', /It failed with TypeError: boom/],
])("does not take %s for a report", async (_what, body, message) => {
  await deploy(`export const handler = async () => { ${body} };`);

  await expect(outcome()).rejects.toMatchObject({
    code: "FUNCTION_FOREIGN",
    message: expect.stringMatching(message),
  });
});
