import { afterEach, expect, test, vi } from "vitest";
import { streamify } from "../../../lib/handler/streaming-handler.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

test("a handler that streams can be imported where the runtime streams nothing, and says so when called", async () => {
  const handler = streamify(() => Promise.resolve());

  const call: Promise<unknown> = Reflect.apply(handler, null, [{}, {}, {}]);

  await expect(call).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});

test("a handler that streams is what the runtime makes of it", () => {
  const made = () => Promise.resolve();
  vi.stubGlobal("awslambda", { streamifyResponse: () => made });

  expect(streamify(() => Promise.resolve())).toBe(made);
});
