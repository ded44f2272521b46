import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  GetFunctionCommand,
  InvokeCommand,
  type InvokeCommandInput,
  LambdaClient,
  type LambdaClientConfig,
  waitUntilFunctionActiveV2,
} from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { RETRY_ATTEMPTS } from "../../lib/events/redelivery.ts";
import type { LocalLambda } from "../../local/lambda/lambda.ts";
import { type LocalLambdaService, startLambdaService } from "../../local/lambda/service.ts";
import { deploySource } from "../setup/local-function.ts";
import { hasTool } from "../setup/tools.ts";

const ARN = "arn:aws:lambda:eu-central-1:123456789012:function:neon-migrations";
const RIGHT = { accessKeyId: "local", secretAccessKey: "local" };
/** Answers what it is asked for, and counts. */
const SOURCE = `
  let calls = 0;
  export const handler = async (event, context) => {
    calls += 1;
    if (event?.log) console.log(event.log);
    if (event?.fail) throw Object.assign(new Error("no lock"), { name: "LOCKED" });
    if (event?.bytes) return "x".repeat(event.bytes);
    return { event, calls, arn: context.invokedFunctionArn, requestId: context.awsRequestId };
  };`;

let service: LocalLambdaService;
let client: LambdaClient;

beforeAll(async () => {
  service = await startLambdaService();
  client = clientWith(RIGHT);
});

afterAll(() => service.stop());

function clientWith(
  credentials: { readonly accessKeyId: string; readonly secretAccessKey: string },
  options: LambdaClientConfig = {},
): LambdaClient {
  const defaults = { endpoint: service.url, region: "eu-central-1", maxAttempts: 1 };
  return new LambdaClient({ ...defaults, credentials, ...options });
}

async function deploy(): Promise<LocalLambda> {
  const lambda = await deploySource(SOURCE);
  service.deploy(lambda, { aliases: ["live"] });
  return lambda;
}

function invoke(input: Partial<InvokeCommandInput> & { readonly event?: unknown } = {}) {
  const { event, ...others } = input;
  const payload = event === undefined ? {} : { Payload: JSON.stringify(event) };
  return client.send(new InvokeCommand({ FunctionName: "neon-migrations", ...payload, ...others }));
}

function payloadOf({ Payload }: { readonly Payload?: Uint8Array }): unknown {
  return JSON.parse(Buffer.from(Payload ?? []).toString());
}

describe("a function that is there", () => {
  beforeEach(deploy);

  test("answers a call, under the request id that the function sees", async () => {
    const answer = await invoke({ event: { action: "plan" } });

    expect(answer).toMatchObject({ StatusCode: 200, ExecutedVersion: "$LATEST" });
    expect(answer.FunctionError).toBeUndefined();
    expect(payloadOf(answer)).toEqual({
      event: { action: "plan" },
      calls: 1,
      arn: ARN,
      requestId: answer.$metadata.requestId,
    });
  });

  test.each([
    ["its ARN", ARN, ARN],
    ["the end of its ARN", "123456789012:function:neon-migrations", ARN],
    ["its name and an alias", "neon-migrations:live", `${ARN}:live`],
    ["its ARN and $LATEST", `${ARN}:$LATEST`, `${ARN}:$LATEST`],
  ])("is found by %s", async (_what, FunctionName, arn) => {
    expect(payloadOf(await invoke({ FunctionName }))).toMatchObject({ event: {}, arn });
  });

  test.each([
    ["another name", { FunctionName: "nobody" }, "function:nobody"],
    ["an alias that it does not have", { Qualifier: "old" }, "neon-migrations:old"],
    [
      "another account's ARN",
      { FunctionName: ARN.replace("123456789012", "210987654321") },
      "210987654321",
    ],
  ])("is not found by %s", async (_what, input, named) => {
    await expect(invoke(input)).rejects.toMatchObject({
      name: "ResourceNotFoundException",
      message: expect.stringContaining(`${named}`),
      Type: "User",
      $metadata: { httpStatusCode: 404 },
    });
  });

  test("says of a failure what the function threw, with the status of a success", async () => {
    const answer = await invoke({ event: { fail: true } });

    expect(answer).toMatchObject({ StatusCode: 200, FunctionError: "Unhandled" });
    expect(payloadOf(answer)).toMatchObject({ errorType: "LOCKED", errorMessage: "no lock" });
  });

  test("sends the last 4 KB of the log along where they are asked for", async () => {
    const log = `first ${"y".repeat(5_000)} last`;

    const { LogResult } = await invoke({ event: { log }, LogType: "Tail" });
    const text = Buffer.from(LogResult ?? "", "base64").toString();

    expect(Buffer.byteLength(text)).toBe(4_096);
    expect(text).toMatch(
      /^y+ last\nEND RequestId: \S+\nREPORT RequestId: .*Duration: [\d.]+ ms.*\n$/,
    );
    expect((await invoke()).LogResult).toBeUndefined();
  });

  test("takes an event into its queue and repeats a failed one, under one request id", async () => {
    const before = service.calls.length;

    const { StatusCode, $metadata } = await invoke({
      event: { fail: true },
      InvocationType: "Event",
    });
    await service.idle();
    const attempts = await service.calls[before]?.attempts;

    expect(StatusCode).toBe(202);
    expect(attempts?.map(({ requestId }) => requestId)).toEqual(
      Array(1 + RETRY_ATTEMPTS).fill($metadata.requestId),
    );
  });

  test("only looks at a dry run", async () => {
    const before = service.calls.length;

    const { StatusCode } = await invoke({ InvocationType: "DryRun" });

    expect([StatusCode, service.calls.length]).toEqual([204, before]);
  });

  test("refuses a payload that is not JSON, or too large for how it is called", async () => {
    const before = service.calls.length;
    const Payload = JSON.stringify("z".repeat(1_048_576));

    await expect(invoke({ Payload: "{" })).rejects.toMatchObject({
      name: "InvalidRequestContentException",
      $metadata: { httpStatusCode: 400 },
    });
    await expect(invoke({ Payload, InvocationType: "Event" })).rejects.toMatchObject({
      name: "RequestEntityTooLargeException",
      message:
        "1048578 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
    });
    await expect(invoke({ Payload: " ".repeat(6_291_457) })).rejects.toMatchObject({
      name: "RequestEntityTooLargeException",
      $metadata: { httpStatusCode: 413 },
    });
    expect(service.calls.length).toBe(before);
  });

  test("fails where the function's answer is too large", async () => {
    const answer = await invoke({ event: { bytes: 6_291_556 } });

    expect(answer.FunctionError).toBe("Unhandled");
    expect(payloadOf(answer)).toEqual({
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    });
  });

  test("is described for those who wait for it", async () => {
    const waited = await waitUntilFunctionActiveV2(
      { client, maxWaitTime: 300 },
      { FunctionName: "neon-migrations" },
    );
    const { Configuration } = await client.send(new GetFunctionCommand({ FunctionName: ARN }));

    expect(waited.state).toBe("SUCCESS");
    expect(Configuration).toMatchObject({ FunctionArn: ARN, State: "Active" });
  });

  test("is not called by who signs wrongly", async () => {
    const before = service.calls.length;
    const command = new InvokeCommand({ FunctionName: "neon-migrations" });
    const wrong = clientWith({ accessKeyId: "local", secretAccessKey: "guessed" });
    const unknown = clientWith({ accessKeyId: "nobody", secretAccessKey: "local" });
    const elsewhere = clientWith(RIGHT, { region: "us-east-1" });
    const late = clientWith(RIGHT, { systemClockOffset: -600_000 });

    await expect(wrong.send(command)).rejects.toThrow(/signature we calculated does not match/);
    await expect(unknown.send(command)).rejects.toThrow(/security token .* is invalid/);
    await expect(elsewhere.send(command)).rejects.toThrow(/scoped to a valid region/);
    await expect(late.send(command)).rejects.toThrow(/Signature expired/);
    expect((await fetch(`${service.url}/2015-03-31/functions/neon-migrations`)).status).toBe(403);
    expect(service.calls.length).toBe(before);
  });

  test("is not started by a call that was told to be refused, and goes on behind one that was cut", async () => {
    const before = service.calls.length;
    service.refuse(1, "TooManyRequestsException");
    service.cut(1);

    await expect(invoke()).rejects.toMatchObject({ name: "TooManyRequestsException" });
    const refused = service.calls.length;
    await expect(invoke()).rejects.toMatchObject({ code: "ECONNRESET" });
    await service.idle();

    expect([refused - before, service.calls.length - before]).toEqual([0, 1]);
    expect(await service.calls.at(-1)?.attempts).toMatchObject([{ functionError: null }]);
  });
});

test.skipIf(!hasTool("aws"))(
  "AWS' own command line, where this machine has it, ends with 0 also where the function failed",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "payload-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    // The one form that versions 1 and 2 read alike.
    const payload = join(folder, "payload.json");
    await writeFile(payload, '{"fail":true}');
    await deploy();

    const options = ["--endpoint-url", service.url, "--cli-read-timeout", "0"];
    const name = ["--function-name", "neon-migrations", "--payload", `fileb://${payload}`];
    const line = ["lambda", "invoke", ...options, ...name, join(folder, "answer.json")];
    const { stdout } = await promisify(execFile)("aws", line, {
      env: { ...process.env, ...service.environment },
    });

    expect(JSON.parse(stdout)).toMatchObject({ StatusCode: 200, FunctionError: "Unhandled" });
  },
);
