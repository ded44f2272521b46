import { type Migration, statementText, UNPARSED } from "../bundle/bundle.ts";
import { WATCH_DISCONNECTS } from "../connection/opening.ts";
import { lockTimeoutPart, type Part } from "./transaction.ts";

/** Statements that set something for the session, or that can have anything in them. */
const MAY_LEAVE_TRACES = ["VariableSetStmt", "SelectStmt", "DoStmt", "CallStmt", UNPARSED];

/**
 * Gives the session back as the login made it, so that a file means the same whatever was deployed along
 * with it: a `set_config('search_path', '', false)` as pg_dump writes it, a SET ROLE or a temporary table
 * ends with its file. It comes before the ledger row, which is written as the role that we are.
 */
export function sessionResetParts(migration: Migration, lockTimeoutMs: number): readonly Part[] {
  const { statements, sql } = migration;
  const traces =
    statements.some(({ kind }) => MAY_LEAVE_TRACES.includes(kind)) || /temp/i.test(sql);
  if (!traces) return [];
  const texts = [
    "reset session authorization",
    "reset role",
    "reset all",
    WATCH_DISCONNECTS,
    "discard temp",
  ];
  return [
    ...texts.map((text): Part => ({ kind: "setting", text })),
    lockTimeoutPart(lockTimeoutMs),
  ];
}

/** Whether the file itself has said, before this statement, how long the session waits for locks. */
export function setsLockTimeout(migration: Migration, before: number): boolean {
  return migration.statements
    .slice(0, before)
    .some(
      (each) =>
        each.effect?.kind === "sets" && /lock_timeout/i.test(statementText(migration, each)),
    );
}

/**
 * Makes what follows, up to the end of its transaction, ours again: a checkpoint in the middle of a file that
 * has set another role.
 */
export function ownRoleParts(migration: Migration): readonly Part[] {
  const set = migration.statements.some(({ kind }) => kind === "VariableSetStmt");
  return set ? [{ kind: "setting", text: "set local role none" }] : [];
}
