import { type Migration, statementText, UNPARSED } from "../bundle/bundle.ts";
import { WATCH_DISCONNECTS } from "../connection/opening.ts";
import { lockTimeoutPart, type Part } from "./transaction.ts";

/** Kinds of statements that set something for the session, or may do anything at all. */
const MAY_LEAVE_TRACES = ["VariableSetStmt", "SelectStmt", "DoStmt", "CallStmt", UNPARSED];

/**
 * Returns the parts that put the session back into its state after the login. So a file means the same whatever was
 * deployed along with it: a `set_config('search_path', '', false)` as pg_dump writes it, a SET ROLE or a temporary
 * table ends with its file. The parts come before the ledger row, which our own role must write.
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

/** Whether the file itself has set the session's lock time-out before this statement. */
export function setsLockTimeout(migration: Migration, before: number): boolean {
  return migration.statements
    .slice(0, before)
    .some(
      (each) =>
        each.effect?.kind === "sets" && /lock_timeout/i.test(statementText(migration, each)),
    );
}

/**
 * Returns the parts that take our own role back until the end of the transaction. A checkpoint in the middle of a
 * file needs them if the file has set another role.
 */
export function ownRoleParts(migration: Migration): readonly Part[] {
  const set = migration.statements.some(({ kind }) => kind === "VariableSetStmt");
  return set ? [{ kind: "setting", text: "set local role none" }] : [];
}
