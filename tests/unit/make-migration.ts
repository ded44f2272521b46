import { createHash } from "node:crypto";
import { type Bundle, bundleHash, type Migration, STATEMENT_BREAKPOINT } from "../../lib/bundle.ts";
import type { Home, Ledger, LedgerRow } from "../../lib/ledger-home.ts";

/** A migration with one statement per chunk, without the parser. */
export function makeMigration(tag: string, when: number, ...statements: string[]): Migration {
  const sql = statements.join(`\n${STATEMENT_BREAKPOINT}\n`);
  let start = 0;
  return {
    tag,
    when,
    sql,
    hash: createHash("sha256").update(sql).digest("hex"),
    statements: statements.map((text, chunk) => {
      start = sql.indexOf(text, start);
      const line = sql.slice(0, start).split("\n").length;
      const statement = {
        start,
        end: start + text.length,
        chunk,
        line,
        column: 1,
        kind: "SelectStmt",
      };
      start += text.length;
      return statement;
    }),
  };
}

export function makeBundle(...migrations: Migration[]): Bundle {
  return {
    bundleVersion: 1,
    layout: "0.x",
    hash: bundleHash(migrations),
    migrations,
    warnings: [],
  };
}

export function rowOf(
  migration: Migration,
  id: number,
  changes: Partial<LedgerRow> = {},
): LedgerRow {
  return { id, hash: migration.hash, when: migration.when, name: null, ...changes };
}

export function makeHome(schema: string, changes: Partial<Home> = {}): Home {
  return {
    schema,
    table: "__drizzle_migrations",
    schemaExists: true,
    tableExists: true,
    mayCreateSchema: true,
    mayCreateTable: true,
    mayRead: true,
    mayInsert: true,
    columns: ["id", "hash", "created_at"],
    ...changes,
  };
}

export function makeLedger(...rows: LedgerRow[]): Ledger {
  return {
    place: { schema: "drizzle", table: "__drizzle_migrations" },
    exists: true,
    format: "0.x",
    rows,
    warnings: [],
    mayBootstrap: true,
    homes: [makeHome("drizzle"), makeHome("public", { tableExists: false })],
  };
}
