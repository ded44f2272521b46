import { describe, expect, onTestFinished, test } from "vitest";
import { silentLog } from "../../../lib/log.ts";
import { readNeonKey, readNeonSettings } from "../../../lib/target/neon-access.ts";
import { startSecrets } from "../../../local/aws/secrets.ts";
import { expectNoTrace, MARKER } from "../../setup/marker.ts";

const project = { NEON_PROJECT_ID: "late-frost-12345678" };

describe("readNeonSettings", () => {
  test.each([
    [{ NEON_API_KEY: " napi_1 " }, { from: "environment", key: "napi_1" }],
    [{ NEON_API_KEY_SECRET: "neon" }, { from: "secret", id: "neon", field: null }],
    [{ NEON_API_KEY_SECRET: "neon#key" }, { from: "secret", id: "neon", field: "key" }],
    [{ NEON_API_KEY_PARAMETER: "/neon" }, { from: "parameter", name: "/neon" }],
    [
      { NEON_API_KEY: "napi_1", NEON_API_KEY_PARAMETER: "/neon" },
      { from: "parameter", name: "/neon" },
    ],
  ])("finds the key of %j", (environment, key) => {
    expect(readNeonSettings({ ...project, ...environment })).toEqual({
      ...{ key, projectId: "late-frost-12345678", url: null },
    });
  });

  test.each([
    [{}, /^Nothing says what Neon's API key is/],
    [{ NEON_PROJECT_ID: "../other" }, /^NEON_PROJECT_ID is no project's id/],
    [
      { ...project, NEON_API_KEY_SECRET: "a", NEON_API_KEY_PARAMETER: "b" },
      /^NEON_API_KEY_SECRET and NEON_API_KEY_PARAMETER are both set/,
    ],
    [
      { ...project, NEON_API_KEY: "k", NEON_API_URL: "http://example.com" },
      /^NEON_API_URL is no https/,
    ],
    [{ ...project, NEON_API_KEY: "k", NEON_API_URL: "neon" }, /^NEON_API_URL is no https/],
  ])("refuses %j", (environment, said) => {
    expect(() => readNeonSettings(environment)).toThrow(said);
  });

  test("leaves the project open where nothing names it", () => {
    expect(readNeonSettings({ NEON_API_KEY: "napi_1" }).projectId).toBeNull();
  });

  test.each(["https://api.example.com/v2", "http://127.0.0.1:1234/api/v2"])(
    "takes the address %s",
    (NEON_API_URL) => {
      expect(readNeonSettings({ ...project, NEON_API_KEY: "k", NEON_API_URL }).url).toBe(
        NEON_API_URL,
      );
    },
  );
});

describe("readNeonKey", () => {
  const patience = { until: 0, log: silentLog };
  const secret = { from: "secret", id: "neon", field: null } as const;

  async function keep(value: string): Promise<void> {
    const secrets = await startSecrets();
    secrets.set("neon", value);
    const before = { ...process.env };
    Object.assign(process.env, secrets.environment);
    onTestFinished(async () => {
      process.env = before;
      await secrets.stop();
    });
  }

  test.each([
    ["napi_1\n", null],
    ['{"apiKey":"napi_1"}', null],
    ['{"NEON_API_KEY":"napi_1","other":"x"}', null],
    ['{"mine":"napi_1"}', "mine"],
  ])("finds the key in %j", async (value, field) => {
    await keep(value);

    expect(await readNeonKey({ ...secret, field }, patience)).toBe("napi_1");
    expect(await readNeonKey({ from: "parameter", name: "neon" }, patience).catch(String)).toBe(
      field === null
        ? "napi_1"
        : "SECRET_UNAVAILABLE: The parameter neon (apiKey, NEON_API_KEY, api_key, key) holds no API key of Neon.",
    );
  });

  test.each([
    ["has two words", MARKER],
    ["has no such field", JSON.stringify({ mine: MARKER })],
    ["has a field that is no text", JSON.stringify({ apiKey: [MARKER] })],
    ["is cut", `{"apiKey":"${MARKER}`],
  ])("shows nothing of a secret that %s", async (_what, value) => {
    await keep(value);

    const thrown = await readNeonKey(secret, patience).catch((error: unknown) => error);

    expect(thrown).toMatchObject({ code: "SECRET_UNAVAILABLE" });
    expectNoTrace(thrown);
  });

  test("refuses a key in the environment that is none, and does not show it", async () => {
    const thrown = await readNeonKey({ from: "environment", key: MARKER }, patience).catch(
      (error: unknown) => error,
    );

    expect(thrown).toMatchObject({ code: "SECRET_UNAVAILABLE" });
    expectNoTrace(thrown);
  });
});
