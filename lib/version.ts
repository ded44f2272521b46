import { packageVersion } from "./package-root.ts";

/** The build of the function writes the version here: it has no package.json beside it. */
declare const NEON_MIGRATE_VERSION: string | undefined;

/** Returns the version of this package, in the built function too. */
export function version(): string {
  return typeof NEON_MIGRATE_VERSION === "string" ? NEON_MIGRATE_VERSION : packageVersion();
}
