import type { Migration, Statement } from "../../bundle/bundle.ts";
import type { Question, Severity } from "../../bundle/finding.ts";
import type { RuleId } from "../../bundle/rule-ids.ts";
import type { ObjectName } from "../../postgres/names.ts";
import type { History } from "../sql/history.ts";
import type { Node } from "../sql/tree.ts";

/** One rule of `check`. */
export interface Rule {
  readonly id: RuleId;
  readonly severity: Severity;
  /** The reason for the rule in one sentence, as `docs/reference/rules.md` and SARIF show it. */
  readonly summary: string;
  /** The kinds of statement that the rule reads, by the parser's names. */
  readonly kinds: readonly string[];
  check(statement: Checked): readonly Problem[];
}

/** A statement as a rule sees it. */
export interface Checked {
  readonly tag: string;
  readonly migration: Migration;
  readonly statement: Statement;
  /** Index in its migration, from 0. */
  readonly index: number;
  readonly text: string;
  /** The fields of its parse node. */
  readonly node: Node;
  /** The effects of the statements before it. */
  readonly history: History;
  /** Whether the same file creates the table before this statement. Then nobody uses the table yet. */
  isNew(table: ObjectName): boolean;
  /** Indexes of all statements that commit together with this one, in order. */
  readonly together: readonly number[];
  /** The fields of the parse node of another statement of the migration. */
  nodeAt(index: number): Node;
}

/** The objection of a rule to a statement. */
export interface Problem {
  /** One sentence, with the names of this statement. */
  readonly message: string;
  readonly rewrite: string;
  /**
   * The table whose size or use decides how serious the problem is. For a table that an earlier migration of the same
   * deployment creates, there is no problem.
   */
  readonly table?: ObjectName;
  readonly asks?: Question;
  /** Its place in the statement, in UTF-8 bytes, as parse trees count. Default: the statement's beginning. */
  readonly at?: number;
  /** Default: the severity of the rule. */
  readonly severity?: Severity;
}

/** Says what to do instead where a table that no migration has made is partitioned: the rules cannot know it. */
export function ifPartitioned(history: History, table: ObjectName | null, instead: string): string {
  if (table !== null && history.createdIn(table) !== null) return "";
  return `\n-- If the table is partitioned, PostgreSQL refuses this. Then: ${instead}.`;
}
