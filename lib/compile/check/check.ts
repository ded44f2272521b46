/*
 * Checking: the dangers of a migration, by its text alone. Migrations come in, in the order in which they are applied,
 * and findings go out, each with a rewrite. Nothing here knows a database: at run time `lib/grade/` says how serious a
 * finding is for one. `rules/` holds the rules, a file for each subject.
 */

import { type Migration, type Statement, statementText } from "../../bundle/bundle.ts";
import type { Finding } from "../../bundle/finding.ts";
import type { RuleId } from "../../bundle/rule-ids.ts";
import { cutSteps, NOTHING_KNOWN, slicesOf } from "../../bundle/steps.ts";
import { placeIn } from "../sql/clause.ts";
import { History } from "../sql/history.ts";
import { parseTree, type Tree } from "../sql/parser.ts";
import { REPLAYED_KINDS } from "../sql/replay.ts";
import { type Node, record } from "../sql/tree.ts";
import type { Checked, Problem, Rule } from "./rule.ts";
import { RULES } from "./rules.ts";

/** A migration before it was checked. */
export type Unchecked = Omit<Migration, "findings">;

/**
 * Checks migrations, in the order in which they are applied, by every rule. The parser must be loaded.
 * @returns the findings of each migration, in the same order
 */

/** Checks one migration after the other by every rule. @param trees the known parse trees, by a statement's index */
type Check = (migration: Unchecked, trees?: ReadonlyMap<number, Tree>) => readonly Finding[];

/** Begins the check of a series of migrations. The parser must be loaded. */
export function startCheck(): Check {
  const history = new History();
  return (migration, trees = new Map()) =>
    checkMigration({ ...migration, findings: [] }, history, trees);
}

/** Whether a rule or the history reads statements of this kind. Nothing reads the tree of an INSERT of megabytes. */
export function readsTree(kind: string): boolean {
  return READ_KINDS.has(kind);
}

const RULES_OF = byKind(RULES);

function byKind(rules: readonly Rule[]): ReadonlyMap<string, readonly Rule[]> {
  const kinds = new Set(rules.flatMap((rule) => rule.kinds));
  return new Map(
    [...kinds].map((kind) => [kind, rules.filter((rule) => rule.kinds.includes(kind))]),
  );
}

function checkMigration(
  migration: Migration,
  history: History,
  trees: ReadonlyMap<number, Tree>,
): readonly Finding[] {
  const findings: Finding[] = [];
  const { tag } = migration;
  history.begin(tag);
  const nodeAt = treeReader(migration, trees);
  const togetherOf = transactionsOf(migration);
  for (const [index, statement] of migration.statements.entries()) {
    const rules = RULES_OF.get(statement.kind) ?? [];
    const replayed = REPLAYED_KINDS.includes(statement.kind);
    if (rules.length === 0 && !replayed) continue;
    const node = nodeAt(index);
    const text = statementText(migration, statement);
    const checked: Checked = {
      ...{ tag, migration, statement, index, text, node, history, nodeAt },
      isNew: (table) => history.createdIn(table) === tag,
      together: togetherOf.get(index) ?? [index],
    };
    findings.push(...findingsOf(checked, rules));
    if (replayed) history.replay(statement.kind, node);
  }
  return findings;
}

function findingsOf(checked: Checked, rules: readonly Rule[]): readonly Finding[] {
  const findings: Finding[] = [];
  for (const rule of rules) {
    if (isAllowed(rule.id, checked.migration, checked.statement)) continue;
    for (const problem of rule.check(checked)) findings.push(toFinding(rule, problem, checked));
  }
  return findings;
}

/** The bundle does not repeat a statement of megabytes. */
const MAX_REWRITE_LENGTH = 10_000;
const TOO_LONG = "-- Too long to be shown: see docs/reference/rules.md for what to write instead.";

function toFinding(rule: Rule, problem: Problem, checked: Checked): Finding {
  const { statement, index, text, history } = checked;
  const { message, rewrite, table, asks, at, severity } = problem;
  const { line, column } = placeIn(text, at ?? 0);
  return {
    rule: rule.id,
    severity: severity ?? rule.severity,
    statement: index + 1,
    line: statement.line + line - 1,
    column: line === 1 ? statement.column + column - 1 : column,
    message,
    rewrite: rewrite.length > MAX_REWRITE_LENGTH ? TOO_LONG : rewrite,
    table: table ?? null,
    createdIn: table === undefined ? null : history.createdIn(table),
    asks: asks ?? null,
  };
}

/** Makes a reader of parse trees. It makes a tree when a rule asks for it, and only once. */
function treeReader(
  migration: Migration,
  trees: ReadonlyMap<number, Tree>,
): (index: number) => Node {
  const known = new Map<number, Node>();
  return (index) => {
    const statement = migration.statements[index];
    if (statement === undefined) return {};
    const node = known.get(index) ?? nodeOf(migration, statement, trees.get(index));
    known.set(index, node);
    return node;
  };
}

function nodeOf(migration: Migration, statement: Statement, tree: Tree | undefined): Node {
  if (!readsTree(statement.kind)) return {};
  return record((tree ?? parseTree(statementText(migration, statement)))[statement.kind]);
}

const READ_KINDS: ReadonlySet<string> = new Set([...RULES_OF.keys(), ...REPLAYED_KINDS]);

/** Returns for each statement the statements that commit with it. */
function transactionsOf(migration: Migration): ReadonlyMap<number, readonly number[]> {
  return new Map(
    cutSteps([migration], NOTHING_KNOWN)
      .steps.flatMap(slicesOf)
      .flatMap(({ statements }) => statements.map((index) => [index, statements])),
  );
}

/** Whether the author allows a statement to break a rule, by `-- neon-migrate: allow <rule>` above it or its file. */
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
