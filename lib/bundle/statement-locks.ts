import type { LockMode } from "../postgres/locks.ts";
import { oneLine } from "../text.ts";
import { type Migration, type Statement, statementText, type Touched, UNPARSED } from "./bundle.ts";

/** The locks of a statement on one object, in words. */
interface LockLine {
  readonly text: string;
  /** Whether somebody has to wait for it who only reads or writes. */
  readonly blocks: boolean;
}

/** Tells what the pending statements lock that is there before them. */
export interface StatementLocks {
  /** Whether somebody who only reads or writes has to wait for one of them. */
  readonly block: boolean;
  /** @param index of the statement, from 0 */
  linesFor(tag: string, index: number): readonly LockLine[];
}

/** Who has to wait for a lock, and who not (docs/reference/locks.md). */
const BLOCKED: Readonly<Record<LockMode, string>> = {
  "ACCESS SHARE": "reads and writes go on",
  "ROW SHARE": "reads and writes go on",
  "ROW EXCLUSIVE": "reads and writes go on, but for writes to the same rows",
  "SHARE UPDATE EXCLUSIVE": "reads and writes go on, VACUUM and other DDL wait",
  SHARE: "writes wait",
  "SHARE ROW EXCLUSIVE": "writes wait",
  EXCLUSIVE: "writes wait",
  "ACCESS EXCLUSIVE": "reads and writes wait",
};

/** How a name leads to relations that are locked without being named. */
export const PHRASES: Readonly<Record<string, (name: string) => string>> = {
  "table-of-index": (name) => `the table of ${name}`,
  "tables-of-constraint": (name) => `the tables on both sides of ${name}`,
  "tables-linked-by-foreign-key": (name) => `tables that foreign keys link with ${name}`,
  "tables-referencing": (name) => `tables whose foreign keys refer to ${name}`,
  "parents-of-table": (name) => `the parent of ${name}, and its default partition`,
  "default-partition": (name) => `the default partition of ${name}`,
  "tables-of-schema": (name) => `everything in ${name}`,
  "table-of-statistics": (name) => `the table of ${name}`,
  "tables-read-by-view": (name) => `what ${name} reads`,
  "tables-with-type": (name) => `tables with a column of ${name}`,
  "views-reading": (name) => `views of ${name}`,
};

/** Kinds of statements that make what they touch without a lock. */
const MAKERS = /^(?:Create.*|View|Index|CompositeType|DefineStmt)/;

/** Kinds of statements whose locks their texts do not show. */
export const UNSEEN: readonly string[] = [UNPARSED, "DoStmt", "CallStmt"];

/** @param pending says how many statements of each are done already: what these have made is there */
export function locksOf(
  migrations: readonly Migration[],
  pending: readonly { readonly tag: string; readonly done: number }[],
): StatementLocks {
  const lines = new Map<string, readonly LockLine[]>();
  const made = new Set<string>();
  for (const migration of migrations) {
    const tag = oneLine(migration.tag);
    const done = pending.find((each) => oneLine(each.tag) === tag)?.done ?? 0;
    for (const [index, statement] of migration.statements.entries()) {
      if (index < done) continue;
      lines.set(keyOf(tag, index), linesOf(statement, made));
      for (const touched of madeBy(migration, statement)) made.add(nameOf(touched));
    }
  }
  const block = [...lines.values()].flat().some(({ blocks }) => blocks);
  return { block, linesFor: (tag, index) => lines.get(keyOf(oneLine(tag), index)) ?? [] };
}

function keyOf(tag: string, index: number): string {
  return `${index} ${tag}`;
}

/** Returns the objects that a statement makes, and that were surely not there before. */
export function madeBy(migration: Migration, statement: Statement): readonly Touched[] {
  const { kind, touches = [] } = statement;
  // Behind IF NOT EXISTS it may have been there.
  const isSure =
    MAKERS.test(kind) && !/\bif\s+not\s+exists\b/i.test(statementText(migration, statement));
  return isSure ? touches.filter(({ lock }) => lock === undefined) : [];
}

function linesOf(
  { kind, touches = [] }: Statement,
  made: ReadonlySet<string>,
): readonly LockLine[] {
  if (UNSEEN.includes(kind))
    return [{ text: "its text does not show what it locks", blocks: false }];
  return touches.flatMap((touched) => {
    const { kind: of, lock } = touched;
    if (lock === undefined || made.has(nameOf(touched))) return [];
    const name = oneLine(nameOf(touched));
    const effect = BLOCKED[lock];
    return [
      {
        text: `${lock} on ${PHRASES[of]?.(name) ?? name}: ${effect}`,
        blocks: effect.endsWith(" wait") && !effect.startsWith("reads and writes go on"),
      },
    ];
  });
}

/** Returns the name of an object in words. Names without a schema are those of `public`. */
export function nameOf({ schema, name }: Touched): string {
  return schema === null || schema === "public" ? name : `${schema}.${name}`;
}
