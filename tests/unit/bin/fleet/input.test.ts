import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readInput, wavesIn } from "../../../../bin/fleet/input.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fleet-input-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, "targets");
  writeFileSync(path, text);
  return path;
}

const TENANTS = [
  { id: "acme", parameter: "/tenants/acme/url" },
  { id: "globex", database: "tenant_globex" },
];

describe("wavesIn", () => {
  test("reads ids, numbers and parts, with pauses behind them", () => {
    expect(wavesIn("acme+globex, 1%/300,50,0.5%,100%")).toEqual([
      { tenants: ["acme", "globex"] },
      { percent: 1, pauseSeconds: 300 },
      { count: 50 },
      { percent: 0.5 },
      { percent: 100 },
    ]);
  });

  test("reads JSON as it is, for ids with signs of its own", () => {
    expect(wavesIn('[{"tenants":["a,b/3"]}]')).toEqual([{ tenants: ["a,b/3"] }]);
  });

  test.each(["", "acme,,100%", "/300", "[{"])(
    "refuses %j, and shows how they are written",
    (text) => {
      expect(() => wavesIn(text)).toThrow(/--waves/);
    },
  );
});

describe("readInput", () => {
  test.each([
    ["JSON lines", TENANTS.map((each) => JSON.stringify(each)).join("\n")],
    [
      "JSON lines with CRLF, a BOM and a blank last line",
      `\ufeff${TENANTS.map((each) => `${JSON.stringify(each)}\r\n`).join("")}\r\n`,
    ],
    ["a JSON array", JSON.stringify(TENANTS, null, 2)],
  ])("reads targets from %s", async (_name, text) => {
    const { input, list } = await readInput({ targets: file(text) });

    expect({ input, list }).toEqual({ input: { targets: { inline: TENANTS } }, list: null });
  });

  test("reads targets from a place in S3, and from a source as it is in an input", async () => {
    const s3 = await readInput({ targets: "s3://shop-tenants/all/tenants.jsonl" });
    const neon = { neon: { organization: "org-1", database: "app", role: "owner" } };
    const other = await readInput({ targets: file(JSON.stringify(neon)) });

    expect(s3.input).toEqual({
      targets: { s3: { bucket: "shop-tenants", key: "all/tenants.jsonl" } },
    });
    expect(other.input).toEqual({ targets: neon });
  });

  test("puts options before the fields of the file", async () => {
    const input = join(folder, "input.json");
    writeFileSync(
      input,
      JSON.stringify({ targets: { inline: TENANTS }, maxConcurrency: 5, skip: "none" }),
    );

    const options = {
      input,
      maxConcurrency: "20",
      tolerated: "0.5%",
      failOn: "budget",
      waves: "1",
    };
    expect((await readInput(options)).input).toEqual({
      ...{ targets: { inline: TENANTS }, maxConcurrency: 20, skip: "none", failOn: "budget" },
      ...{ tolerated: { percent: 0.5 }, waves: [{ count: 1 }] },
    });
  });

  test("hands a list that is too long for an input over by itself", async () => {
    const many = Array.from({ length: 5_000 }, (_, at) => ({
      ...{ id: `tenant-${at}`, parameter: `/tenants/tenant-${at}/url` },
    }));
    const { list } = await readInput({ targets: file(JSON.stringify(many)) });

    expect(
      list
        ?.trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(many);
  });

  test("names the line that is no target", async () => {
    const text = `${JSON.stringify(TENANTS[0])}\nacme\n`;

    await expect(readInput({ targets: file(text) })).rejects.toMatchObject({
      code: "FLEET_INVALID",
      message: expect.stringContaining("line 2"),
    });
  });

  test.each([
    { id: "acme", url: "postgres://app:marker@host/db" },
    { id: "acme", parameter: "postgres://app:marker@host/db" },
    { id: "acme", parameter: "/tenants/acme/url", password: "marker" },
  ])("sends no connection string in a list: %j", async (target) => {
    const thrown: unknown = await readInput({
      targets: file(`${JSON.stringify(TENANTS[0])}\n${JSON.stringify(target)}\n`),
    }).catch((error: unknown) => error);

    expect(thrown).toMatchObject({
      code: "FLEET_INVALID",
      message: expect.stringContaining("Target 2 of the list holds a connection string"),
    });
    expect(String(thrown)).not.toContain("marker");
  });

  test.each([
    { request: { note: "postgres://app:marker@host/db" } },
    { targets: { s3: { bucket: "b", key: "postgres://app:marker@host/db" } } },
    { targets: { sql: { target: { database: "t" }, query: "select dblink('password=marker')" } } },
  ])("sends none anywhere else either: %j", async (more) => {
    const input = { targets: { s3: { bucket: "b", key: "k" } }, ...more };
    const thrown: unknown = await readInput({ input: file(JSON.stringify(input)) }).catch(
      (error: unknown) => error,
    );

    expect(thrown).toMatchObject({
      code: "FLEET_INVALID",
      message: expect.stringMatching(/holds a connection string.* Nothing was started\.$/),
    });
    expect(String(thrown)).not.toContain("marker");
  });

  test.each([
    [{}, /Nothing says which tenants/],
    [{ targets: "/no/such/file" }, /cannot be read: ENOENT/],
    [{ targets: "s3://b/k", tolerated: "some" }, /--tolerated/],
    [{ input: "package-lock.json", targets: "s3://b/k", waves: "," }, /--waves/],
  ])("refuses %j before anything is started", async (options, message) => {
    await expect(readInput(options)).rejects.toThrow(message);
    await expect(readInput(options)).rejects.toThrow("Nothing was started.");
  });
});
