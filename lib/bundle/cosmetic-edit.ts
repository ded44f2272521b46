import { createHash } from "node:crypto";
import type { Migration } from "./bundle.ts";

/**
 * Whether a file with this hash said the same to PostgreSQL as the migration does now. It had other line ends, or
 * other blank lines at its end, or it is an earlier version that the bundle names. False also if nobody can tell.
 */
export function isCosmeticEdit(migration: Migration, ledgerHash: string): boolean {
  if (ledgerHash === migration.hash) return false;
  const { sameAs = [] } = migration;
  return sameAs.includes(ledgerHash) || variantHashes(migration).includes(ledgerHash);
}

/** Returns the hashes of the texts that an editor or a checkout makes of this one without being asked. */
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
