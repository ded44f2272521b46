import { join } from "node:path";
import type { Layout } from "../lib/bundle/bundle.ts";

/** Where a migration's file lies below its folder. */
export function migrationFile(layout: Layout, tag: string): string {
  return layout === "1.0" ? join(tag, "migration.sql") : `${tag}.sql`;
}
