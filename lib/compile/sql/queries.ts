import type { Touched } from "../../bundle/bundle.ts";
import type { LockMode } from "../../postgres/locks.ts";
import { list, type Node, nodes, record, relation, text } from "./tree.ts";

/** A table in a query, with the lock that the query takes on it. */
type Read = Touched & { readonly lock: LockMode };

/** The names of a WITH part, of which the first ones are visible. A list for each query would be copied for each. */
interface Names {
  readonly places: ReadonlyMap<string, number>;
  readonly visible: number;
  readonly outer: Names | null;
}

function hides(names: Names | null, name: string): boolean {
  for (let each = names; each !== null; each = each.outer) {
    if ((each.places.get(name) ?? each.visible) < each.visible) return true;
  }
  return false;
}

/** The names that common table expressions hide, and the lock on the tables that are read. */
interface Scope {
  readonly hidden: Names | null;
  readonly lock: LockMode;
}

const READING: Scope = { hidden: null, lock: "ACCESS SHARE" };

/** Returns the tables that are read or changed anywhere in a node: in queries, their subqueries and WITH parts. */
export function tablesIn(node: unknown): readonly Read[] {
  return walk(node, READING);
}

/** A part of the tree, or a table that was found, in the order of the text. */
type Part = { readonly value: unknown; readonly scope: Scope } | { readonly read: Read };

/** Keeps its own stack, and one list for the whole tree: a chain of thousands of operators makes a tree as deep. */
function walk(value: unknown, scope: Scope): readonly Read[] {
  const found: Read[] = [];
  const open: Part[] = [{ value, scope }];
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    if ("read" in part) found.push(part.read);
    else pushParts(open, record(part.value), part.scope);
  }
  return found;
}

/** Puts the parts of a node or of a list onto the stack, the first one on top. Every node of every tree comes here. */
function pushParts(open: Part[], node: object, scope: Scope): void {
  if (Array.isArray(node)) {
    for (let index = node.length - 1; index >= 0; index -= 1) pushPart(open, node[index], scope);
    return;
  }
  const entries = Object.entries(node);
  for (let index = entries.length - 1; index >= 0; index -= 1) {
    const [name = "", value] = entries[index] ?? [];
    const visit = VISITORS.get(name);
    if (visit === undefined) pushPart(open, value, scope);
    else for (const part of [...visit(record(value), scope)].reverse()) open.push(part);
  }
}

/** Leaves out texts, numbers and truth values, which are most of a tree and hold no table. */
function pushPart(open: Part[], value: unknown, scope: Scope): void {
  if (typeof value === "object" && value !== null) open.push({ value, scope });
}

type Visit = (node: Node, scope: Scope) => readonly Part[];

const VISITORS: ReadonlyMap<string, Visit> = new Map<string, Visit>(
  Object.entries({
    RangeVar: (node, { hidden, lock }) => {
      const { schema, name } = relation(node);
      const isHidden = schema === null && hides(hidden, name);
      return isHidden ? [] : [{ read: { kind: "table", schema, name, lock } }];
    },
    SelectStmt: (node, scope) => select(node, withExpressions(node, scope)),
    // The two sides of a UNION are nodes without a name around them.
    larg: (node, scope) => select(node, withExpressions(node, scope)),
    rarg: (node, scope) => select(node, withExpressions(node, scope)),
    InsertStmt: change,
    UpdateStmt: change,
    DeleteStmt: change,
    MergeStmt: change,
  }),
);

interface With {
  readonly reads: readonly Part[];
  readonly scope: Scope;
}

/** Reads the WITH part. A common table expression sees those before it, and all of them in WITH RECURSIVE. */
function withExpressions({ withClause }: Node, outer: Scope): With {
  const { ctes, recursive } = record(withClause);
  const all = nodes(ctes, "CommonTableExpr");
  if (all.length === 0) return { reads: [], scope: outer };
  const places = new Map(all.map(({ ctename }, index) => [text(ctename), index]));
  const seeing = (visible: number): Scope => ({
    ...outer,
    hidden: { places, visible, outer: outer.hidden },
  });
  const reads = all.map(({ ctequery }, index) => ({
    value: ctequery,
    scope: { ...seeing(recursive === true ? all.length : index), lock: READING.lock },
  }));
  return { reads, scope: seeing(all.length) };
}

/** Reads a SELECT. FOR UPDATE and its kin lock all tables in FROM, or only the tables that they name. */
function select(node: Node, { reads, scope }: With): readonly Part[] {
  const { fromClause, lockingClause, withClause: _with, intoClause: _into, ...rest } = node;
  const clauses = nodes(lockingClause, "LockingClause");
  const named = clauses.flatMap(({ lockedRels }) =>
    nodes(lockedRels, "RangeVar").map(({ relname }) => text(relname)),
  );
  const all = clauses.some(({ lockedRels }) => list(lockedRels).length === 0);
  const from = list(fromClause).map((value): Part => {
    const locked = all || named.some((name) => namesIn(value).includes(name));
    return { value, scope: locked ? { ...scope, lock: "ROW SHARE" } : scope };
  });
  return [...reads, ...from, { value: rest, scope: { ...scope, lock: "ACCESS SHARE" } }];
}

/** Returns the name of an item of FROM: its alias, else its own name. */
function namesIn(item: unknown): readonly string[] {
  const [inner] = Object.values(record(item)).map(record);
  const { alias, relname } = inner ?? {};
  return [text(record(alias).aliasname) || text(relname)];
}

function change(node: Node, outer: Scope): readonly Part[] {
  const { relation: target, withClause: _with, ...rest } = node;
  const { reads, scope } = withExpressions(node, outer);
  const changed = { kind: "table", ...relation(target), lock: "ROW EXCLUSIVE" } as const;
  return [{ read: changed }, ...reads, { value: rest, scope: { ...scope, lock: "ACCESS SHARE" } }];
}
