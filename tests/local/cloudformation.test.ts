import { request as httpRequest } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import {
  type LocalCloudFormation,
  startCloudFormation,
} from "../../local/cloudformation/cloudformation.ts";
import {
  canonicalRequest,
  hmacV4,
  type Signature,
} from "../../local/cloudformation/presigned-url.ts";
import type { ResourceRequest } from "../../local/cloudformation/response.ts";

type Answer = Readonly<Record<string, unknown>>;

let stand: LocalCloudFormation | null = null;

afterEach(() => stand?.stop());

/** A stack whose function answers with what `reply` makes of the request; null sends nothing. */
async function start(
  reply: (request: ResourceRequest) => Answer | null | Promise<Answer | null>,
  options: { readonly serviceTimeoutMs?: number } = {},
): Promise<LocalCloudFormation> {
  const invoke = async (request: ResourceRequest) => {
    const answer = await reply(request);
    if (answer !== null) await put(request.ResponseURL, JSON.stringify(answer));
  };
  stand = await startCloudFormation({ invoke, ...options });
  return stand;
}

/** A body of bytes brings no content-type with `fetch`. */
function put(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: "PUT", body: Buffer.from(body), headers });
}

function success(request: ResourceRequest, changes: Answer = {}): Answer {
  const { StackId, RequestId, LogicalResourceId } = request;
  const PhysicalResourceId = request.PhysicalResourceId ?? "migrations";
  return {
    Status: "SUCCESS",
    StackId,
    RequestId,
    LogicalResourceId,
    PhysicalResourceId,
    ...changes,
  };
}

function failure(request: ResourceRequest): Answer {
  return success(request, { Status: "FAILED", Reason: "Migration 0001_two is wrong." });
}

/** What was sent, without what is different each time. */
function sent(operation: { readonly exchanges: readonly { readonly request: ResourceRequest }[] }) {
  return operation.exchanges.map(({ request }) => ({
    type: request.RequestType,
    id: request.PhysicalResourceId,
    new: request.ResourceProperties.Hash,
    old: request.OldResourceProperties?.Hash,
  }));
}

describe("the lifecycle", () => {
  test("creates, updates and deletes a resource", async () => {
    const cloudFormation = await start((request) => success(request, { Data: { status: "ok" } }));

    const created = await cloudFormation.create("Migrations", { Hash: "a" });
    const attributes = cloudFormation.attributes("Migrations");
    const updated = await cloudFormation.update("Migrations", { Hash: "b" });
    const deleted = await cloudFormation.delete("Migrations");

    expect([created, updated, deleted].map(({ status, problems }) => [status, problems])).toEqual([
      ["CREATE_COMPLETE", []],
      ["UPDATE_COMPLETE", []],
      ["DELETE_COMPLETE", []],
    ]);
    expect([created, updated, deleted].flatMap(sent)).toEqual([
      { type: "Create", id: undefined, new: "a", old: undefined },
      { type: "Update", id: "migrations", new: "b", old: "a" },
      { type: "Delete", id: "migrations", new: "b", old: undefined },
    ]);
    expect(attributes).toEqual({ status: "ok" });
    expect(cloudFormation.attributes("Migrations")).toBeNull();
  });

  test("sends every property as a string", async () => {
    const cloudFormation = await start((request) => success(request));

    const { exchanges } = await cloudFormation.create("Migrations", {
      Number: 42,
      Flag: true,
      List: [80, { Deep: false }],
    });

    expect(exchanges[0]?.request.ResourceProperties).toEqual({
      ServiceToken: exchanges[0]?.request.ServiceToken,
      Number: "42",
      Flag: "true",
      List: ["80", { Deep: "false" }],
    });
  });

  test("sends nothing when the properties are the same", async () => {
    const cloudFormation = await start((request) => success(request));
    await cloudFormation.create("Migrations", { Number: 1 });

    const updated = await cloudFormation.update("Migrations", { Number: "1" });

    expect(updated).toEqual({ status: "UPDATE_COMPLETE", exchanges: [], problems: [] });
  });

  test("follows a failed Create with a Delete of the id that was answered", async () => {
    const cloudFormation = await start((request) =>
      request.RequestType === "Create" ? failure(request) : success(request),
    );

    const created = await cloudFormation.create("Migrations", { Hash: "a" });

    expect(created.status).toBe("ROLLBACK_COMPLETE");
    expect(created.exchanges[0]?.reason).toBe("Migration 0001_two is wrong.");
    expect(sent(created)).toEqual([
      { type: "Create", id: undefined, new: "a", old: undefined },
      { type: "Delete", id: "migrations", new: "a", old: undefined },
    ]);
  });

  test("follows a failed Update with one whose properties are swapped", async () => {
    const cloudFormation = await start((request) =>
      request.ResourceProperties.Hash === "b" ? failure(request) : success(request),
    );
    await cloudFormation.create("Migrations", { Hash: "a" });

    const updated = await cloudFormation.update("Migrations", { Hash: "b" });

    expect(updated.status).toBe("UPDATE_ROLLBACK_COMPLETE");
    expect(sent(updated)).toEqual([
      { type: "Update", id: "migrations", new: "b", old: "a" },
      { type: "Update", id: "migrations", new: "a", old: "b" },
    ]);
  });

  test("deletes the old resource when an Update answers with another id", async () => {
    const cloudFormation = await start((request) =>
      success(request, request.RequestType === "Update" ? { PhysicalResourceId: "other" } : {}),
    );
    await cloudFormation.create("Migrations", { Hash: "a" });

    const updated = await cloudFormation.update("Migrations", { Hash: "b" });

    expect(sent(updated)[1]).toEqual({
      type: "Delete",
      id: "migrations",
      new: "a",
      old: undefined,
    });
    expect(cloudFormation.physicalId("Migrations")).toBe("other");
  });

  test("deletes under an invented id while a cancelled Create still runs", async () => {
    const order: string[] = [];
    let begin = () => undefined;
    let finish = () => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = () => void resolve();
    });
    const finished = new Promise<void>((resolve) => {
      finish = () => void resolve();
    });
    const cloudFormation = await start(async (request) => {
      begin();
      if (request.RequestType === "Create") await finished;
      order.push(request.RequestType);
      finish();
      return success(request);
    });

    const cancelled = await cloudFormation.cancelCreate("Migrations", {}, begun);

    expect(order).toEqual(["Delete", "Create"]);
    expect(cancelled.status).toBe("ROLLBACK_COMPLETE");
    expect(cancelled.exchanges[1]?.request.PhysicalResourceId).toMatch(
      /^local-Migrations-[0-9A-F]{12}$/,
    );
  });

  test("delivers the same request twice on command", async () => {
    const ids: string[] = [];
    const cloudFormation = await start((request) => {
      ids.push(request.RequestId);
      return success(request);
    });

    const created = await cloudFormation.create("Migrations", {}, { deliveries: 2 });

    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expect(created).toMatchObject({ status: "CREATE_COMPLETE", problems: [] });
    expect(created.exchanges[0]?.puts).toEqual([200, 200]);
  });

  test("fails a resource whose function ends without an answer", async () => {
    const cloudFormation = await start(() => null);

    const created = await cloudFormation.create("Migrations");

    expect(created.status).toBe("ROLLBACK_FAILED");
    expect(created.exchanges[0]).toMatchObject({ status: "FAILED", answer: null, puts: [] });
  });

  test("stops waiting for an answer after the service timeout", async () => {
    const cloudFormation = await start(() => new Promise(() => undefined), {
      serviceTimeoutMs: 50,
    });

    const created = await cloudFormation.create("Migrations");

    expect(created.exchanges[0]?.problems).toEqual(["No answer came."]);
  });
});

describe("the check of an answer", () => {
  test.each<[string, Answer, string]>([
    ["echoes another stack", { StackId: "x" }, "StackId is not the request's."],
    ["echoes another request", { RequestId: "x" }, "RequestId is not the request's."],
    [
      "names another resource",
      { LogicalResourceId: "x" },
      "LogicalResourceId is not the request's.",
    ],
    ["has an empty physical id", { PhysicalResourceId: "" }, "Invalid PhysicalResourceId"],
    [
      "has a long physical id",
      { PhysicalResourceId: "ä".repeat(513) },
      "PhysicalResourceId exceeds 1 KB.",
    ],
    [
      "fails without a reason",
      { Status: "FAILED", Reason: null },
      "A FAILED answer has no Reason.",
    ],
    ["has no status", { Status: "ok" }, "Status is neither SUCCESS nor FAILED."],
    ["has nested data", { Data: { list: [] } }, "Data.list is not a string."],
    [
      "has more than 4096 bytes",
      { Data: { text: "ß".repeat(2_000) } },
      "Response object is too long.",
    ],
  ])("finds one that %s", async (_what, changes, problem) => {
    const cloudFormation = await start((request) =>
      success(request, request.RequestType === "Create" ? changes : {}),
    );

    const { exchanges } = await cloudFormation.create("Migrations");

    expect(exchanges[0]?.problems).toContain(problem);
  });

  test("allows exactly 4096 bytes", async () => {
    const cloudFormation = await start((request) => {
      const empty = success(request, { Data: { text: "" } });
      const text = "x".repeat(4_096 - JSON.stringify(empty).length);
      return { ...empty, Data: { text } };
    });

    const created = await cloudFormation.create("Migrations");

    expect(created.exchanges[0]?.answer).toHaveLength(4_096);
    expect(created).toMatchObject({ status: "CREATE_COMPLETE", problems: [] });
  });

  test("finds a second answer to the same delivery", async () => {
    const cloudFormation = await start(async (request) => {
      await put(request.ResponseURL, JSON.stringify(success(request)));
      return failure(request);
    });

    const created = await cloudFormation.create("Migrations");

    expect(created.status).toBe("CREATE_COMPLETE");
    expect(created.problems).toEqual(["2 answers were sent."]);
  });
});

describe("the check of a PUT", () => {
  /** What S3 says to one PUT, made by the function before it answers properly. */
  async function statusOf(
    signature: Signature,
    send: (url: string, body: string) => Promise<number>,
  ): Promise<number> {
    let status = 0;
    const cloudFormation = await start(async (request) => {
      status = await send(request.ResponseURL, JSON.stringify(success(request)));
      return success(request);
    });
    cloudFormation.bucket.signAs({ signature });
    const created = await cloudFormation.create("Migrations");
    expect(created.exchanges[0]?.puts).toEqual([status, 200]);
    return status;
  }

  type Send = (url: string, body: string) => Promise<number>;
  const typed: Send = async (url, body) =>
    (await put(url, body, { "content-type": "application/json" })).status;
  const changed =
    (from: RegExp, to: string): Send =>
    async (url, body) =>
      (await put(url.replace(from, to), body)).status;
  const unescaped: Send = async (url, body) => (await put(decoded(url), body)).status;

  test.each<[Signature, string, Send, number]>([
    ["SigV2", "refuses a content-type", typed, 403],
    ["SigV2", "refuses another signature", changed(/Signature=/, "Signature=x"), 403],
    ["SigV2", "refuses another expiry", changed(/Expires=1/, "Expires=2"), 403],
    ["SigV2", "refuses a decoded path", unescaped, 403],
    ["SigV2", "refuses a chunked body", chunkedPut, 501],
    ["SigV4", "takes a content-type, which is not signed", typed, 200],
    ["SigV4", "refuses another signature", changed(/Signature=/, "Signature=0"), 403],
    ["SigV4", "refuses another expiry", changed(/Expires=7/, "Expires=9"), 403],
    ["SigV4", "refuses another host", changed(/127\.0\.0\.1/, "localhost"), 403],
    ["SigV4", "refuses a chunked body", chunkedPut, 501],
  ])("signed by %s %s", async (signature, _what, send, status) => {
    expect(await statusOf(signature, send)).toBe(status);
  });

  test.each(["SigV2", "SigV4"] as const)(
    "refuses a URL of %s that has expired",
    async (signature) => {
      const cloudFormation = await start((request) => success(request));
      cloudFormation.bucket.signAs({ signature, ageMs: 7_201_000 });

      const created = await cloudFormation.create("Migrations");

      expect(created.exchanges[0]?.puts).toEqual([403]);
    },
  );

  test("accepts an empty content-type", async () => {
    const cloudFormation = await start(async (request) => {
      await put(request.ResponseURL, JSON.stringify(success(request)), { "content-type": "" });
      return null;
    });

    expect((await cloudFormation.create("Migrations")).status).toBe("CREATE_COMPLETE");
  });

  test("fails as often as it is told to", async () => {
    const cloudFormation = await start(async (request) => {
      const body = JSON.stringify(success(request));
      while ((await put(request.ResponseURL, body)).status !== 200);
      return null;
    });
    cloudFormation.bucket.failPuts(2, 503);

    const created = await cloudFormation.create("Migrations");

    expect(created.exchanges[0]?.puts).toEqual([503, 503, 200]);
  });
});

test("signs as AWS' own example of signature version 4 is signed", () => {
  const key = { id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
  const query = new URLSearchParams({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${key.id}/20130524/us-east-1/s3/aws4_request`,
    "X-Amz-Date": "20130524T000000Z",
    "X-Amz-Expires": "86400",
    "X-Amz-SignedHeaders": "host",
  });
  const host = "examplebucket.s3.amazonaws.com";

  const signature = hmacV4(key, query, canonicalRequest("GET", "/test.txt", query, { host }));

  expect(signature).toBe("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
});

function decoded(url: string): string {
  const [path = "", query] = url.split("?");
  return `${decodeURIComponent(path)}?${query}`;
}

function chunkedPut(url: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sending = httpRequest(url, { method: "PUT" }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sending.on("error", reject);
    sending.setHeader("transfer-encoding", "chunked");
    sending.end(body);
  });
}
