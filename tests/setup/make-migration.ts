import { createHash } from "node:crypto";
import {
  type Bundle,
  type Migration,
  migrationName,
  STATEMENT_BREAKPOINT,
  type Statement,
} from "../../lib/bundle/bundle.ts";
import { bundleHash } from "../../lib/bundle/hash.ts";
import { NewValues } from "../../lib/compile/sql/new-values.ts";
import { loadParser } from "../../lib/compile/sql/parser.ts";
import { type Cut, cutStatements } from "../../lib/compile/statements.ts";
import type { Home, Ledger, LedgerRow } from "../../lib/ledger/ledger.ts";

await loadParser();

/** Makes a migration with one statement per chunk. A text that the parser refuses is taken as it is. */
export function makeMigration(tag: string, when: number, ...statements: string[]): Migration {
  const sql = statements.join(`\n${STATEMENT_BREAKPOINT}\n`);
  const cut = cutStatements(sql);
  return {
    tag,
    name: migrationName("0.x", tag, when),
    when,
    sql,
    hash: createHash("sha256").update(sql).digest("hex"),
    statements: cut.ok ? cut.statements : uncut(sql, statements),
    ...(cut.ok ? withoutStatements(cut) : {}),
    findings: [],
  };
}

function withoutStatements({
  ok: _ok,
  statements: _statements,
  ...rest
}: Cut & { readonly ok: true }) {
  return rest;
}

function uncut(sql: string, statements: readonly string[]): readonly Statement[] {
  let start = 0;
  return statements.map((text, chunk) => {
    start = sql.indexOf(text, start);
    const line = sql.slice(0, start).split("\n").length;
    const end = start + text.length;
    const place = { start, end, chunk, line, column: 1, digest: "0".repeat(12) };
    start = end;
    return { ...place, kind: "SelectStmt", mode: "transactional", effect: null };
  });
}

export function makeBundle(...unmarked: Migration[]): Bundle {
  const newValues = new NewValues();
  const migrations = unmarked.map((migration) => {
    const statements = newValues.mark(migration, new Map());
    const isMarked = statements.some((each) => each.newValues !== undefined);
    return isMarked ? { ...migration, statements } : migration;
  });
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
    mayUse: true,
    tableExists: true,
    mayCreateSchema: true,
    mayCreateTable: true,
    mayRead: true,
    mayInsert: true,
    mayCount: true,
    mayLock: true,
    columns: ["id", "hash", "created_at"],
    ours: true,
    believed: true,
    checkpointsExist: false,
    checkpointsBelieved: false,
    mayReadCheckpoints: false,
    mayWriteCheckpoints: false,
    history: null,
    ...changes,
  };
}

export function makeLedger(...rows: LedgerRow[]): Ledger {
  return {
    place: { schema: "drizzle", table: "__drizzle_migrations" },
    exists: true,
    format: "0.x",
    rows,
    checkpoints: [],
    warnings: [],
    mayBootstrap: true,
    homes: [makeHome("drizzle"), makeHome("public", { tableExists: false })],
  };
}
