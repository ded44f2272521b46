import { quoteIdentifier } from "../../../postgres/names.ts";
import type { Checked, Problem, Rule } from "../rule.ts";

/** PostgreSQL's limit for a name: NAMEDATALEN - 1. */
const MAX_BYTES = 63;

/** Names in a statement, quoted or not. Literals match without a group. */
const NAMES = /"((?:[^"]|"")+)"|'(?:[^']|'')*'|([\p{L}_][\p{L}\p{N}_$]*)/gu;

/** A word that may hold a name that is too long. The search begins only where a word begins, which is faster. */
const LONG_WORD = /(?<![^\s,()])[^\s,()]{40}/;

/** Rules about names. */
export const NAME_RULES: readonly Rule[] = [
  {
    id: "identifier-too-long",
    severity: "warning",
    summary:
      "PostgreSQL cuts names off behind 63 bytes, so that the database has another name than the schema, and two long names may become one.",
    kinds: [
      "CreateStmt",
      "AlterTableStmt",
      "IndexStmt",
      "RenameStmt",
      "CreateEnumStmt",
      "CreateSeqStmt",
      "CreatePolicyStmt",
      "ViewStmt",
      "CreateSchemaStmt",
      "CreateTableAsStmt",
    ],
    check: longNames,
  },
];

function longNames({ text: sql }: Checked): readonly Problem[] {
  if (!LONG_WORD.test(sql)) return [];
  const names = new Map<string, number>();
  for (const { 1: quoted, 2: plain, index } of sql.matchAll(NAMES)) {
    const name = quoted?.replaceAll('""', '"') ?? plain ?? "";
    if (Buffer.byteLength(name) > MAX_BYTES && !names.has(name)) {
      names.set(name, Buffer.byteLength(sql.slice(0, index)));
    }
  }
  return [...names].map(([name, at]) => ({
    message: `${quoteIdentifier(name)} has ${Buffer.byteLength(name)} bytes; PostgreSQL calls it ${quoteIdentifier(cut(name))}.`,
    rewrite: `-- Give it a shorter name in the Drizzle schema, or the one that it will have anyway:\n${sql.replaceAll(name, cut(name))};`,
    at,
  }));
}

/** Cuts a name as PostgreSQL does, between characters of UTF-8. */
function cut(name: string): string {
  let bytes = 0;
  let kept = "";
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_BYTES) break;
    kept += character;
  }
  return kept;
}
