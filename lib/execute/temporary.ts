import { type Migration, statementText } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import { interruptedAt } from "./error-place.ts";

const NAME = '("(?:[^"]|"")+"|[\\w$]+)';

/** The forms of a statement that makes something for its session only. */
const MAKES = new RegExp(
  `^create\\s+(?:or\\s+replace\\s+)?(?:(?:global|local)\\s+)?temp(?:orary)?\\s+(?:recursive\\s+)?(?:table|view|sequence)\\s+(?:if\\s+not\\s+exists\\s+)?${NAME}
  |^create\\s+(?:table|view|sequence)\\s+(?:if\\s+not\\s+exists\\s+)?pg_temp\\.${NAME}
  |\\binto\\s+temp(?:orary)?\\s+(?:table\\s+)?${NAME}`.replaceAll(/\n\s+/g, ""),
  "i",
);

/**
 * Sees to it that the session has the temporary tables that the rest of a file uses. A table of an earlier session has
 * ended with that, and no run would ever get behind its use.
 * @param first index of the first statement that is not done
 * @throws MigratorError `MIGRATION_FAILED` with the way out
 */
export async function expectTemporary(
  connection: Connection,
  migration: Migration,
  first: number,
): Promise<void> {
  const texts = migration.statements.map((each) => statementText(migration, each));
  for (const [maker, text] of texts.slice(0, first).entries()) {
    const name = madeBy(text);
    const use = name === null ? -1 : texts.findIndex((each, at) => at >= first && uses(each, name));
    if (name === null || use < 0 || madeBy(texts[use] ?? "") === name) continue;
    const rows = await connection.query(
      "select from pg_catalog.pg_class where oid operator(pg_catalog.=) pg_catalog.to_regclass($1)",
      [`pg_temp.${name}`],
    );
    if (rows.length === 0) throw interruptedAt(gone(name, maker), migration, use, USED);
  }
}

const USED = { how: "It is used" };

function madeBy(text: string): string | null {
  const [, ...names] = MAKES.exec(text) ?? [];
  return names.find((name) => name !== undefined) ?? null;
}

function uses(text: string, name: string): boolean {
  const bare = name.replaceAll('"', "").toLowerCase();
  return text.toLowerCase().includes(bare) && !/^drop\b.*\bif\s+exists\b/is.test(text);
}

function gone(name: string, maker: number): MigratorError {
  return new MigratorError(
    "MIGRATION_FAILED",
    `The temporary ${name} is gone: statement ${maker + 1} has made it in the session of an earlier run, and it ended with that session. Statements that have not run may be edited: write what makes and fills it once more, ahead of its next use.`,
  );
}
