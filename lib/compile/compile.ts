import { createHash } from "node:crypto";
import { type Bundle, bundleHash, type Migration } from "../bundle.ts";
import { type MigrationFile, readFolder } from "./folder.ts";
import { loadParser } from "./parser.ts";
import { sqlError } from "./sql-problem.ts";
import { cutStatements } from "./statements.ts";

/**
 * Turns a Drizzle 0.x folder into a bundle, and refuses a broken one before anything connects.
 * Order, hashes and chunks are those of Drizzle's `readMigrationFiles` (drizzle-orm 0.45).
 * @param folder the folder that drizzle-kit generates into
 * @throws MigratorError with one of the folder's codes, or with `SQL_INVALID` or `PULL_BASELINE`
 */
export async function compileBundle(folder: string): Promise<Bundle> {
  const { files, warnings } = await readFolder(folder);
  await loadParser();
  const migrations = files.map(compileMigration);
  return { bundleVersion: 1, layout: "0.x", hash: bundleHash(migrations), migrations, warnings };
}

function compileMigration(file: MigrationFile): Migration {
  const { tag, when, sql } = file;
  const cut = cutStatements(sql);
  if (!cut.ok) throw sqlError(file, cut.problem);
  const hash = createHash("sha256").update(sql).digest("hex");
  return { tag, when, hash, sql, statements: cut.statements };
}
