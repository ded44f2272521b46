import { createHash } from "node:crypto";
import type { Bundle, Migration, Overview } from "./bundle.ts";

/** The name of every row of a ledger that has no column for it, in the text of which the digest is made. */
export const NO_NAMES = "(no names)";

/** Returns a bundle that brings its overview. */
export function withOverview(bundle: Bundle): Bundle {
  return bundle.overview === undefined ? { ...bundle, overview: overviewOf(bundle) } : bundle;
}

/** Returns the overview of a bundle: the one that it brings, or that of its migrations. */
export function overviewOf(bundle: Pick<Bundle, "layout" | "migrations" | "overview">): Overview {
  return bundle.overview ?? overviewOfAll(bundle);
}

function overviewOfAll({ layout, migrations }: Pick<Bundle, "layout" | "migrations">): Overview {
  const isNamed = new Set(migrations.map(({ name }) => name)).size === migrations.length;
  return {
    latest: migrations.at(-1)?.tag ?? null,
    complete: {
      // Drizzle's own upgrade of a ledger goes by seconds: in such a folder it may mix up the rows.
      "0.x": layout === "0.x" ? digestOf(migrations.map((each) => rowText(each, NO_NAMES))) : null,
      "1.0": isNamed ? digestOf(migrations.map((each) => rowText(each, each.name))) : null,
    },
  };
}

function rowText({ when, hash }: Migration, name: string): string {
  return `${when} ${hash} ${name}`;
}

/** An empty ledger costs nothing to read. Times and hashes are ASCII, so that the order is the server's. */
function digestOf(rows: readonly string[]): string | null {
  if (rows.length === 0) return null;
  const text = `${rows.length}\n${rows.toSorted().join("\n")}`;
  return createHash("sha256").update(text).digest("hex");
}
