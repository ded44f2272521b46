import { createHash } from "node:crypto";
import type { Migration } from "./bundle.ts";

/** The parts of a migration that a bundle's hash covers. */
type Hashed = Pick<Migration, "tag" | "when" | "hash">;

/** Returns the hash of a list of migrations; see `Bundle.hash`. */
export function bundleHash(migrations: readonly Hashed[]): string {
  return createHash("sha256").update(migrations.map(lineOf).join("\n")).digest("hex");
}

/** Returns the hashes of all shorter bundles that a list of migrations begins with. */
export function headHashes(migrations: readonly Hashed[]): readonly string[] {
  const hash = createHash("sha256");
  return migrations.map((migration, index) => {
    const head = hash.copy().digest("hex");
    hash.update(`${index === 0 ? "" : "\n"}${lineOf(migration)}`);
    return head;
  });
}

function lineOf({ tag, when, hash }: Hashed): string {
  return JSON.stringify([tag, when, hash]);
}

/**
 * Returns the hash of all that was compiled of a list of migrations; see `Bundle.contentHash`. It covers each text by the
 * hash of the text: all texts in one piece may be longer than a text can be.
 */
export function contentHash(migrations: readonly object[]): string {
  const hash = createHash("sha256");
  for (const migration of migrations) {
    hash.update(`${JSON.stringify({ ...migration, sql: undefined })}\n`);
  }
  return hash.digest("hex");
}
