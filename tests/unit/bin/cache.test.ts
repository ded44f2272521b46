import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { cacheFolder } from "../../../bin/cache.ts";

const BUILT = { environment: {}, root: resolve("."), module: "file:///dist/shared/chunk.js" };

test("a built command keeps bundles in the node_modules beside its package", () => {
  const root = join(resolve("node_modules"), "neon-lambda-migrator");

  expect(cacheFolder({ ...BUILT, root })).toBe(
    join(resolve("node_modules"), ".cache", "neon-lambda-migrator"),
  );
});

test("in a clone it takes the node_modules of the clone, and without any it keeps nothing", () => {
  expect(cacheFolder(BUILT)).toBe(resolve("node_modules", ".cache", "neon-lambda-migrator"));
  expect(cacheFolder({ ...BUILT, root: resolve("docs") })).toBeNull();
});

test("NEON_MIGRATE_CACHE names another folder, or switches it off", () => {
  const said = (word: string) =>
    cacheFolder({ ...BUILT, environment: { NEON_MIGRATE_CACHE: word } });

  expect([said("kept"), said("off"), said("")]).toEqual([
    resolve("kept"),
    null,
    resolve("node_modules", ".cache", "neon-lambda-migrator"),
  ]);
});

test("a command that runs from its sources keeps nothing, because their changes have no version", () => {
  const environment = { NEON_MIGRATE_CACHE: "kept" };

  expect(cacheFolder({ environment })).toBeNull();
});
