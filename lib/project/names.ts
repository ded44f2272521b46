import type { ConfigLedger } from "./parse-config.ts";

/** drizzle-kit looks for the first three, in this order, and takes the others from `--config` only. */
export const CONFIG_NAMES: readonly string[] = ["ts", "js", "json", "mts", "mjs", "cjs"].map(
  (extension) => `drizzle.config.${extension}`,
);

/** The part of `bundle --json` that says what the drizzle.config file has named. */
export interface ProjectSummary {
  readonly file: string;
  readonly ledger: ConfigLedger;
}
