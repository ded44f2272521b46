import type { Finding } from "../../lib/bundle/finding.ts";
import { startCheck, type Unchecked } from "../../lib/compile/check/check.ts";

/** The findings of each migration of a series, checked one after the other, as the compiler does. */
export function checkAll(migrations: readonly Unchecked[]): readonly (readonly Finding[])[] {
  const check = startCheck();
  return migrations.map((migration) => check(migration));
}
