import { request as httpRequest } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { type LocalCloudFormation, startCloudFormation } from "../../local/cloudformation.ts";
import type { ResourceRequest } from "../../local/cloudformation-response.ts";

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
  async function statusOf(send: (url: string, body: string) => Promise<number>): Promise<number> {
    let status = 0;
    const cloudFormation = await start(async (request) => {
      status = await send(request.ResponseURL, JSON.stringify(success(request)));
      return success(request);
    });
    const created = await cloudFormation.create("Migrations");
    expect(created.exchanges[0]?.puts).toEqual([status, 200]);
    return status;
  }

  test.each<[string, (url: string, body: string) => Promise<number>, number]>([
    [
      "a content-type",
      async (url, body) => (await put(url, body, { "content-type": "application/json" })).status,
      403,
    ],
    [
      "another signature",
      async (url, body) => (await put(url.replace("Signature=", "Signature=x"), body)).status,
      403,
    ],
    [
      "another expiry",
      async (url, body) => (await put(url.replace("Expires=1", "Expires=2"), body)).status,
      403,
    ],
    ["a decoded path", async (url, body) => (await put(decoded(url), body)).status, 403],
    ["a chunked body", chunkedPut, 501],
  ])("refuses %s", async (_what, send, status) => {
    expect(await statusOf(send)).toBe(status);
  });

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
    cloudFormation.failPuts(2, 503);

    const created = await cloudFormation.create("Migrations");

    expect(created.exchanges[0]?.puts).toEqual([503, 503, 200]);
  });
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
