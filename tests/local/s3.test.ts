import { execFile } from "node:child_process";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LocalS3, startS3 } from "../../local/s3/s3.ts";
import { hasTool } from "../setup/tools.ts";

const Bucket = "fleet";
let s3: LocalS3;
let client: S3Client;

beforeAll(async () => {
  s3 = await startS3({ buckets: [Bucket] });
  client = clientWith({});
});

afterAll(async () => {
  client.destroy();
  await s3.stop();
});

function clientWith(settings: S3ClientConfig): S3Client {
  return new S3Client({
    endpoint: s3.url,
    region: "eu-central-1",
    maxAttempts: 1,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    ...settings,
  });
}

function put(Key: string, Body: NonNullable<PutObjectCommandInput["Body"]>, extra = {}) {
  return client.send(new PutObjectCommand({ Bucket, Key, Body, ...extra }));
}

async function read(Key: string): Promise<string | undefined> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return await Body?.transformToString();
}

describe("objects", () => {
  test("come back as they were put, whatever is in their keys", async () => {
    const key = "runs/2026 11+28/a&b=ä/ü?.json";

    const { ETag } = await put(key, "text ä", { ContentType: "application/json" });

    const { Body, ...got } = await client.send(new GetObjectCommand({ Bucket, Key: key }));
    expect(await Body?.transformToString()).toBe("text ä");
    expect(got).toMatchObject({ ETag, ContentLength: 7, ContentType: "application/json" });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: key }));
    expect(head).toMatchObject({ ETag, ContentLength: 7 });
    expect(s3.store.get(Bucket, key).body.toString()).toBe("text ä");
  });

  test("come back whole where they were sent in chunks", async () => {
    const parts = ["one", "two".repeat(100_000), "three"];

    await put("chunks", Readable.from(parts), { ContentLength: parts.join("").length });

    expect(await read("chunks")).toBe(parts.join(""));
  });

  test("are refused where their checksum is wrong", async () => {
    const wrong = put("damaged", "text", { ChecksumCRC32: "AAAAAA==" });

    await expect(wrong).rejects.toMatchObject({ name: "BadDigest" });
    expect(s3.store.has(Bucket, "damaged")).toBe(false);
  });

  test("are missing in the words of S3", async () => {
    await expect(read("missing")).rejects.toMatchObject({
      name: "NoSuchKey",
      $metadata: { httpStatusCode: 404 },
    });
    const head = client.send(new HeadObjectCommand({ Bucket, Key: "missing" }));
    await expect(head).rejects.toMatchObject({ name: "NotFound" });
    const elsewhere = client.send(new GetObjectCommand({ Bucket: "other", Key: "missing" }));
    await expect(elsewhere).rejects.toMatchObject({ name: "NoSuchBucket" });
  });

  test("are deleted, also where there are none", async () => {
    await put("short-lived", "text");

    for (const _ of [1, 2]) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: "short-lived" }));
    }

    expect(s3.store.has(Bucket, "short-lived")).toBe(false);
  });
});

describe("conditions", () => {
  test("let one of many writers make an object", async () => {
    const writers = Array.from({ length: 5 }, (_, n) =>
      put("made-once", `by ${n}`, { IfNoneMatch: "*" }),
    );

    const ended = await Promise.allSettled(writers);

    const refused = ended.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(4);
    expect(refused[0]).toMatchObject({
      reason: { name: "PreconditionFailed", $metadata: { httpStatusCode: 412 } },
    });
  });

  test("let only the writer go on that has read the newest object", async () => {
    const first = await put("ledger", "1");
    const second = await put("ledger", "2", { IfMatch: first.ETag });

    const late = put("ledger", "3", { IfMatch: first.ETag });

    await expect(late).rejects.toMatchObject({ name: "PreconditionFailed" });
    expect(await read("ledger")).toBe("2");
    expect(second.ETag).not.toBe(first.ETag);
    const nowhere = put("no-ledger", "1", { IfMatch: first.ETag });
    await expect(nowhere).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  test("hold for reads", async () => {
    const { ETag } = await put("conditional", "text");
    const get = (extra: object) =>
      client.send(new GetObjectCommand({ Bucket, Key: "conditional", ...extra }));

    expect(await get({ IfMatch: ETag })).toMatchObject({ ETag });
    const changed = { $metadata: { httpStatusCode: 412 } };
    await expect(get({ IfMatch: '"0"' })).rejects.toMatchObject(changed);
    const same = { $metadata: { httpStatusCode: 304 } };
    await expect(get({ IfNoneMatch: ETag })).rejects.toMatchObject(same);
  });
});

describe("lists", () => {
  const list = (extra: object) => client.send(new ListObjectsV2Command({ Bucket, ...extra }));

  beforeAll(() => {
    for (let n = 0; n < 2_345; n += 1) s3.store.put(Bucket, `list/${n % 3}/${n}`, "x");
  });

  test("have every key once, in pages of at most 1,000, in the order of their bytes", async () => {
    const keys: string[] = [];
    const pages: number[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await list({ Prefix: "list/", ContinuationToken });
      keys.push(...(page.Contents ?? []).map(({ Key = "" }) => Key));
      pages.push(page.KeyCount ?? 0);
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);

    expect(pages).toEqual([1_000, 1_000, 345]);
    expect(keys).toEqual([...new Set(keys)].sort());
  });

  test("stop at a delimiter, page by page", async () => {
    const first = await list({ Prefix: "list/", Delimiter: "/", MaxKeys: 2 });
    const second = await list({
      ...{ Prefix: "list/", Delimiter: "/" },
      ContinuationToken: first.NextContinuationToken,
    });

    expect(first).toMatchObject({ IsTruncated: true, KeyCount: 2 });
    expect(first.CommonPrefixes).toEqual([{ Prefix: "list/0/" }, { Prefix: "list/1/" }]);
    expect(second.CommonPrefixes).toEqual([{ Prefix: "list/2/" }]);
    expect(await list({ Prefix: "list/", MaxKeys: 0 })).toMatchObject({ IsTruncated: false });
  });

  test("are empty for a prefix without keys", async () => {
    expect(await list({ Prefix: "nothing/" })).toMatchObject({ KeyCount: 0, IsTruncated: false });
  });
});

describe("refusals", () => {
  test("strike below a denied prefix only", async () => {
    await put("tenants/a", "text");
    s3.deny(Bucket, "tenants/", { operations: ["GetObject"], forCalls: 1 });

    await expect(read("tenants/a")).rejects.toMatchObject({
      name: "AccessDenied",
      $metadata: { httpStatusCode: 403 },
    });
    expect(await read("tenants/a")).toBe("text");
    expect(s3.calls.filter(({ key }) => key === "tenants/a")).toEqual([
      { operation: "PutObject", bucket: Bucket, key: "tenants/a", status: 200 },
      { operation: "GetObject", bucket: Bucket, key: "tenants/a", status: 403 },
      { operation: "GetObject", bucket: Bucket, key: "tenants/a", status: 200 },
    ]);
  });

  test("hide whether a key exists from whoever may not list", async () => {
    s3.deny(Bucket, "hidden/", { operations: ["ListObjectsV2"] });

    await expect(read("hidden/missing")).rejects.toMatchObject({ name: "AccessDenied" });
  });

  test("come on command, and an SDK that repeats gets through", async () => {
    await put("slow", "text");
    s3.fail("GetObject", "SlowDown", 1);
    const patient = clientWith({ maxAttempts: 2 });

    const { ContentLength } = await patient.send(new GetObjectCommand({ Bucket, Key: "slow" }));

    expect(ContentLength).toBe(4);
    expect(s3.calls.slice(-2).map(({ status }) => status)).toEqual([503, 200]);
  });

  test.each([
    ["InvalidAccessKeyId", { credentials: { accessKeyId: "x", secretAccessKey: "local" } }],
    ["SignatureDoesNotMatch", { credentials: { accessKeyId: "local", secretAccessKey: "x" } }],
    ["AuthorizationHeaderMalformed", { region: "us-east-1" }],
    ["RequestTimeTooSkewed", { systemClockOffset: -600_000 }],
  ])("say %s for a wrong signature", async (name, settings) => {
    const wrong = clientWith(settings).send(new GetObjectCommand({ Bucket, Key: "any" }));

    await expect(wrong).rejects.toMatchObject({ name });
  });

  test.each([
    [{ VersionId: "1" }, "?versionId"],
    [{ Range: "bytes=0-1" }, "range"],
  ])("name the part of a request that is not stood in for: %j", async (extra, name) => {
    const got = client.send(new GetObjectCommand({ Bucket, Key: "any", ...extra }));

    await expect(got).rejects.toMatchObject({ name: "NotImplemented", Header: name });
  });
});

test.runIf(hasTool("aws"))("serves the AWS CLI", async () => {
  const aws = async (...words: readonly string[]) => {
    const args = ["--endpoint-url", s3.url, ...words];
    const { stdout } = await promisify(execFile)("aws", args, {
      env: { ...process.env, ...s3.environment, AWS_PAGER: "" },
    });
    return stdout;
  };
  await put("cli/a b.json", "text");

  const [listed, copied] = await Promise.all([
    aws("s3", "ls", `s3://${Bucket}/cli/`),
    aws("s3", "cp", `s3://${Bucket}/cli/a b.json`, "-"),
  ]);

  expect(listed).toContain("4 a b.json");
  expect(copied).toBe("text");
});
