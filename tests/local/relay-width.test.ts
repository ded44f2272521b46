import { expect, test } from "vitest";
import { createTestDatabase } from "../setup/database.ts";
import { usePools } from "../setup/pool.ts";

let url = "";
const open = usePools(() => url);

test("a narrow wire takes its time in each direction, and changes nothing", async () => {
  const database = await createTestDatabase();
  url = database.url;
  const relay = await database.startRelay({ bitsPerSecond: 1_000_000 });
  const text = "ß".repeat(25_000);

  const started = performance.now();
  const { rows } = await open(relay.address).query("select $1::text as text", [text]);
  const tookMs = performance.now() - started;

  expect(rows[0].text).toBe(text);
  // 50 kB there and 50 kB back.
  expect(tookMs).toBeGreaterThan(795);
  await database.close();
});
