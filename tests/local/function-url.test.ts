import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { HttpRequest } from "@smithy/core/protocols";
import { Hash } from "@smithy/core/serde";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterEach, describe, expect, test } from "vitest";
import type { LoopbackServer } from "../../local/aws/loopback.ts";
import {
  type FunctionUrlOptions,
  startFunctionUrl,
} from "../../local/function-url/function-url.ts";
import { deploySource } from "../setup/local-function.ts";
import { hasTool } from "../setup/tools.ts";

const ECHO =
  "export const handler = async (event) => event.headers['x-answer'] ? JSON.parse(event.headers['x-answer']) : event;";
const run = promisify(execFile);

let url: LoopbackServer;

afterEach(() => url.stop());

async function start(source = ECHO, options: FunctionUrlOptions = {}) {
  url = await startFunctionUrl(await deploySource(source), options);
}

/** A call that is signed by the AWS SDK's signer. */
async function signed(path: string, init: { method?: string; body?: string; key?: string } = {}) {
  const { host, hostname, port } = new URL(url.url);
  const { method = "GET", body, key = "local" } = init;
  const signer = new SignatureV4({
    service: "lambda",
    region: "eu-central-1",
    credentials: { accessKeyId: "local", secretAccessKey: key },
    sha256: Hash.bind(null, "sha256"),
  });
  const request = new HttpRequest({
    method,
    hostname,
    port: Number(port),
    path,
    headers: { host, "content-type": "application/json" },
    ...(body === undefined ? {} : { body }),
  });
  const { headers } = await signer.sign(request);
  return await fetch(`${url.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
}

describe("who is let in", () => {
  test("is who signed, and the function learns who that is", async () => {
    await start();

    const response = await signed("/migrations", { method: "POST", body: '{"action":"up"}' });

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      version: "2.0",
      rawPath: "/migrations",
      body: '{"action":"up"}',
      isBase64Encoded: false,
      requestContext: {
        http: { method: "POST", path: "/migrations", sourceIp: "127.0.0.1" },
        authorizer: { iam: { accountId: "123456789012" } },
      },
    });
  });

  test("is not who signed with another key, or another body, or not at all", async () => {
    await start();

    expect((await signed("/", { key: "guessed" })).status).toBe(403);
    const unsigned = await fetch(url.url);

    expect([unsigned.status, await unsigned.json()]).toEqual([
      403,
      {
        Message: expect.stringMatching(/^Forbidden\. For troubleshooting .*urls-auth\.html$/),
      },
    ]);
  });

  test("is everybody where the URL asks for nothing", async () => {
    await start(ECHO, { authType: "NONE" });

    const response = await fetch(`${url.url}/a?x=1&x=2`, { headers: { cookie: "a=1; b=2" } });

    expect(await response.json()).toMatchObject({
      rawQueryString: "x=1&x=2",
      queryStringParameters: { x: "1,2" },
      cookies: ["a=1", "b=2"],
      requestContext: { accountId: "anonymous" },
    });
  });
});

describe("what a caller is told", () => {
  const answerOf = (answer: unknown) =>
    fetch(url.url, { headers: { "x-answer": JSON.stringify(answer) } });

  test.each([
    [{ statusCode: 409, headers: { "x-a": "1" }, body: "no" }, 409, "no"],
    [{ statusCode: 200, body: "aGk=", isBase64Encoded: true }, 200, "hi"],
    [{ any: "thing" }, 200, '{"any":"thing"}'],
    ["text", 200, '"text"'],
  ])("is %j as %i %s", async (answer, status, body) => {
    await start(ECHO, { authType: "NONE" });

    const response = await answerOf(answer);

    expect([response.status, await response.text()]).toEqual([status, body]);
  });

  test("is nothing but 502 where the function failed", async () => {
    await start('export const handler = async () => { throw new Error("secret"); };', {
      authType: "NONE",
    });

    const response = await fetch(url.url);

    expect([response.status, await response.text()]).toEqual([502, "Internal Server Error"]);
  });
});

describe.skipIf(!hasTool("curl"))("curl --aws-sigv4, where this machine has curl,", () => {
  const curl = async (...words: readonly string[]) => {
    const line = ["-s", "--aws-sigv4", "aws:amz:eu-central-1:lambda", "-w", "\n%{http_code}"];
    const { stdout } = await run("curl", [...line, ...words]);
    const [body = "", status] = stdout.split(/\n(?=\d+$)/);
    return { status: Number(status), body: JSON.parse(body) };
  };

  test("is let in, with a session token and a body that comes in base64 too", async () => {
    await start();

    const plain = await curl(
      "--user",
      "local:local",
      `${url.url}/migrations/plan?transaction=each`,
    );
    const form = await curl(
      "--user",
      "local:local",
      "-H",
      "x-amz-security-token: t",
      "-d",
      "{}",
      `${url.url}/migrations`,
    );

    expect(plain).toMatchObject({
      status: 200,
      body: { rawPath: "/migrations/plan", queryStringParameters: { transaction: "each" } },
    });
    expect(form).toMatchObject({ status: 200, body: { body: "e30=", isBase64Encoded: true } });
  });

  test("is not let in with another key, region or service", async () => {
    await start();

    for (const words of [
      ["--user", "local:guessed"],
      ["--user", "local:local", "--aws-sigv4", "aws:amz:us-east-1:lambda"],
      ["--user", "local:local", "--aws-sigv4", "aws:amz:eu-central-1:execute-api"],
    ]) {
      expect((await curl(...words, url.url)).status).toBe(403);
    }
  });
});
