import type { Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { asOurselves } from "./session-reset.ts";
import type { Part } from "./transaction.ts";

/**
 * Puts the opening guard of the ledger into a transaction. A SET TRANSACTION at the head of a file must come before any
 * query, so the guard's own query follows the settings at the head. A lock of a table is no query.
 * @param within the migration to which the first parts belong: an earlier part of it may have set another role
 */
export function guardedParts(
  opening: readonly Sending[],
  parts: readonly Part[],
  within: Migration | null,
  role: string,
): readonly Part[] {
  const guards = opening.map((each): Part => ({ kind: "guard", ...each }));
  const head = parts.findIndex((part) => !isSetting(part));
  const first = parts.find((part) => part.kind === "statement");
  const startsFile = first?.kind === "statement" && first.index === 0;
  const [ahead, behind] = startsFile ? [guards.slice(0, -1), guards.slice(-1)] : [[], guards];
  const at = Math.max(head, 0);
  return [
    ...ahead,
    ...parts.slice(0, at),
    ...(within === null ? behind : asOurselves(within, role, behind)),
    ...parts.slice(at),
  ];
}

function isSetting(part: Part): boolean {
  if (part.kind !== "statement") return part.kind === "setting";
  return part.migration.statements[part.index]?.kind === "VariableSetStmt";
}
