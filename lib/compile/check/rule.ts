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
  /** Why, in one sentence, whatever the statement: what `docs/rules.md` and SARIF say of the rule. */
  readonly summary: string;
  /** The kinds of statement that it looks at, by the parser's names. */
  readonly kinds: readonly string[];
  check(statement: Checked): readonly Problem[];
}

/** A statement as a rule sees it. */
export interface Checked {
  readonly tag: string;
  readonly migration: Migration;
  readonly statement: Statement;
  /** From 0, in its migration. */
  readonly index: number;
  readonly text: string;
  /** The fields of its parse node. */
  readonly node: Node;
  /** What the statements before it have done. */
  readonly history: History;
  /** Whether a table was created before this statement in the same file: then nobody uses it yet. */
  isNew(table: ObjectName): boolean;
  /** Indexes of all statements that commit together with this one, in order. */
  readonly together: readonly number[];
  /** The fields of the parse node of another statement of the migration. */
  nodeAt(index: number): Node;
}

/** What a rule has against a statement. */
export interface Problem {
  /** One sentence, with the names of this statement. */
  readonly message: string;
  readonly rewrite: string;
  /** The table whose size or use decides how bad it is. Created by an earlier migration of the same deployment, it is not bad at all. */
  readonly table?: ObjectName;
  readonly asks?: Question;
  /** Where in the statement, in UTF-8 bytes, as parse trees count; default its beginning. */
  readonly at?: number;
  /** Default: the rule's. */
  readonly severity?: Severity;
}
