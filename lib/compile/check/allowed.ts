import type { Migration, Statement } from "../../bundle/bundle.ts";
import type { RuleId } from "../../bundle/rule-ids.ts";

/** Whether its author lets a statement break a rule: `-- neon-migrate: allow <rule>` above it, or at the head of its file. */
export function isAllowed(
  rule: RuleId,
  migration: Pick<Migration, "directives">,
  statement: Pick<Statement, "directives">,
): boolean {
  return (
    migration.directives?.allow?.includes(rule) === true ||
    statement.directives?.allow?.includes(rule) === true
  );
}
