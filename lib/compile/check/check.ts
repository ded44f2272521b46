import { type Migration, type Statement, statementText } from "../../bundle/bundle.ts";
import type { Finding } from "../../bundle/finding.ts";
import type { RuleId } from "../../bundle/rule-ids.ts";
import { cutSteps, NOTHING_KNOWN, slicesOf } from "../../bundle/steps.ts";
import { positionAt, unitsAt } from "../../bundle/text-position.ts";
import { History } from "../sql/history.ts";
import { parseTree, type Tree } from "../sql/parser.ts";
import { REPLAYED_KINDS } from "../sql/replay.ts";
import { type Node, record } from "../sql/tree.ts";
import type { Checked, Problem, Rule } from "./rule.ts";
import { RULES } from "./rules.ts";

/** A migration before it was checked. */
export type Unchecked = Omit<Migration, "findings">;

/*
 * Holds migrations to the rules. Migrations come in, in the order in which they are applied, and the findings
 * of each go out. The parser must be loaded. A rule reads texts and trees only; no server is asked.
 */

/** Holds one migration after the other to every rule. @param trees as far as they are known: by a statement's index */
type Check = (migration: Unchecked, trees?: ReadonlyMap<number, Tree>) => readonly Finding[];

/** Begins a series of migrations. */
export function startCheck(): Check {
  const history = new History();
  return (migration, trees = new Map()) =>
    checkMigration({ ...migration, findings: [] }, history, trees);
}

/** Whether some rule looks at statements of this kind. Of an INSERT of megabytes none wants the tree. */
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
    for (const rule of rules.filter(({ id }) => !isAllowed(id, migration, statement))) {
      findings.push(...rule.check(checked).map((problem) => toFinding(rule, problem, checked)));
    }
    if (replayed) history.replay(statement.kind, node);
  }
  return findings;
}

/** A statement of megabytes is not repeated in the bundle. */
const MAX_REWRITE_LENGTH = 10_000;
const TOO_LONG = "-- Too long to be shown: see docs/rules.md for what to write instead.";

function toFinding(rule: Rule, problem: Problem, checked: Checked): Finding {
  const { statement, index, text, history } = checked;
  const { message, rewrite, table, asks, at, severity } = problem;
  return {
    rule: rule.id,
    severity: severity ?? rule.severity,
    statement: index + 1,
    ...positionAt(text, unitsAt(text, "bytes")(at ?? 0), statement),
    message,
    rewrite: rewrite.length > MAX_REWRITE_LENGTH ? TOO_LONG : rewrite,
    table: table ?? null,
    createdIn: table === undefined ? null : history.createdIn(table),
    asks: asks ?? null,
  };
}

/** Trees are made when a rule wants one, and once. */
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

/** For each statement those that commit with it. */
function transactionsOf(migration: Migration): ReadonlyMap<number, readonly number[]> {
  return new Map(
    cutSteps(migration, NOTHING_KNOWN)
      .flatMap(slicesOf)
      .flatMap(({ statements }) => statements.map((index) => [index, statements])),
  );
}

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
