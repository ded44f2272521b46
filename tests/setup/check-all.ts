import type { Finding } from "../../lib/bundle/finding.ts";
import { startCheck, type Unchecked } from "../../lib/compile/check/check.ts";

/** Returns the findings of each migration of a series. Checks them one after the other, as the compiler does. */
export function checkAll(migrations: readonly Unchecked[]): readonly (readonly Finding[])[] {
  const check = startCheck();
  return migrations.map((migration) => check(migration));
}
