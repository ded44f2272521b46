import type { Finding } from "../../lib/bundle/finding.ts";
import { startCheck, type Unchecked } from "../../lib/compile/check/check.ts";
import { NewValues } from "../../lib/compile/sql/new-values.ts";

/** Returns the findings of each migration of a series. Checks them one after the other, as the compiler does. */
export function checkAll(migrations: readonly Unchecked[]): readonly (readonly Finding[])[] {
  const check = startCheck();
  const newValues = new NewValues();
  return migrations.map((migration) =>
    check({ ...migration, statements: newValues.mark(migration, new Map()) }),
  );
}
