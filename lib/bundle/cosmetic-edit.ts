import { createHash } from "node:crypto";
import type { Migration } from "./bundle.ts";

/**
 * Whether a file that had this hash once said the same to PostgreSQL as the migration does now: other line
 * ends, other blank lines at its end, or a text that the bundle names because version control had it.
 * False also where that cannot be told.
 */
export function isCosmeticEdit(migration: Migration, ledgerHash: string): boolean {
  const { hash, sameAs = [] } = migration;
  if (ledgerHash === hash) return false;
  return sameAs.includes(ledgerHash) || variantHashes(migration).includes(ledgerHash);
}

/** The hashes of the texts that an editor or a checkout makes of this one without being asked. */
export function variantHashes({
  sql,
  lineEndsMatter,
}: Pick<Migration, "sql" | "lineEndsMatter">): readonly string[] {
  const unix = sql.replaceAll("\r\n", "\n");
  const forms = lineEndsMatter === true ? [sql] : [unix, unix.replaceAll("\n", "\r\n")];
  return forms.flatMap((form) => {
    const bare = form.replace(/[\r\n]+$/, "");
    const texts = [form, bare, `${bare}\n`, `${bare}\r\n`];
    return texts.map((text) => createHash("sha256").update(text).digest("hex"));
  });
}
