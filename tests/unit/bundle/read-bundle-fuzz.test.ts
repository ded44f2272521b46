import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { type Bundle, chunksOf } from "../../../lib/bundle/bundle.ts";
import { bundleHash } from "../../../lib/bundle/hash.ts";
import { readBundle } from "../../../lib/bundle/read-bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { hostileValue, mutants } from "../../setup/fuzz/mutations.ts";
import { outcomeOf } from "../../setup/fuzz/outcome.ts";
import { isRecord } from "../../setup/fuzz/request-oracle.ts";
import { tries } from "../../setup/tries.ts";

const FOLDERS = [
  "good",
  "journal-order",
  "several-statements-in-a-chunk",
  "empty-journal",
  "directives",
];

let bundles: readonly unknown[];

beforeAll(async () => {
  const compiled = await Promise.all(
    FOLDERS.map((name) => compileBundle(`tests/fixtures/folders/${name}`)),
  );
  bundles = compiled.map((bundle) => JSON.parse(JSON.stringify(bundle)));
});

test("a bundle in any variation is read as it is, or refused", () => {
  const values = fc.oneof(
    { weight: 10, arbitrary: fc.oneof(...bundles.map((bundle) => mutants(bundle))) },
    { weight: 1, arbitrary: hostileValue },
  );
  fc.assert(
    fc.property(values, (value) => {
      const { value: bundle, error } = outcomeOf(() => readBundle(value));

      expect(error?.code).toBe(bundle === null ? "BUNDLE_INVALID" : undefined);
      if (bundle !== null) expectSound(bundle, value);
    }),
    { numRuns: tries(150, 1_000) },
  );
});

test("one whose hashes were made to fit is still read as it is, or refused", () => {
  const values = fc.oneof(...bundles.map((bundle) => mutants(bundle, 2))).map(withHashes);
  fc.assert(
    fc.property(values, (value) => {
      const { value: bundle, error } = outcomeOf(() => readBundle(value));

      expect(error?.code).toBe(bundle === null ? "BUNDLE_INVALID" : undefined);
      if (bundle !== null) expectSound(bundle, value);
    }),
    { numRuns: tries(150, 1_000) },
  );
});

/** Nothing twice, nothing outside its file, and nothing that the value does not hold. */
function expectSound(bundle: Bundle, value: unknown): void {
  const { migrations } = bundle;
  const tags = migrations.map(({ tag }) => tag);
  expect(new Set(tags).size).toBe(tags.length);
  expect(bundle.hash).toBe(bundleHash(migrations));
  expect(JSON.stringify(Object(value).migrations.map(identity))).toBe(
    JSON.stringify(migrations.map(identity)),
  );
  for (const migration of migrations) {
    let behind = 0;
    for (const { start, end, chunk } of migration.statements) {
      expect(start).toBeGreaterThanOrEqual(behind);
      expect(end).toBeGreaterThan(start);
      behind = end;
      expect(chunk).toBeLessThan(chunksOf(migration).length);
    }
    expect(behind).toBeLessThanOrEqual(migration.sql.length);
  }
}

const identity = ({ tag, when, sql, hash }: Bundle["migrations"][number]) => [tag, when, sql, hash];

/** What somebody would ship who changed the text of a bundle and then computed its hashes anew. */
function withHashes(value: unknown): unknown {
  if (!isRecord(value) || !Array.isArray(value.migrations)) return value;
  const migrations = value.migrations.map((each: unknown) =>
    isRecord(each) && typeof each.sql === "string"
      ? { ...each, hash: createHash("sha256").update(each.sql).digest("hex") }
      : each,
  );
  return { ...value, migrations, hash: hashOf(migrations) };
}

function hashOf(migrations: readonly unknown[]): string {
  try {
    return bundleHash(migrations.map(Object));
  } catch {
    return "";
  }
}
