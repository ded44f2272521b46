import type { Migration, NewValue, Statement, StatementRef } from "../../bundle/bundle.ts";
import type { ObjectName } from "../../postgres/names.ts";
import { History } from "./history.ts";
import { parseTree, type Tree } from "./parser.ts";
import { REPLAYED_KINDS } from "./replay.ts";
import {
  columnIn,
  dropped,
  keyOf,
  list,
  type Node,
  nodes,
  option,
  qualified,
  record,
  strings,
  text,
  typeOf,
} from "./tree.ts";

/** A value that a statement of the folder adds to an enum. */
interface AddedValue extends NewValue {
  readonly type: ObjectName;
  readonly value: string;
  /** Number of values that were added before. */
  readonly order: number;
}

type Marked = Pick<Migration, "tag" | "sql" | "statements">;

/** The parse tree of a longer statement would take too much memory. Such a statement shows its need by 55P04. */
const MAX_LENGTH = 256 * 1024;

/**
 * Finds the statements that use an enum value which an earlier statement of the folder adds. A use is a string constant
 * where the type is at hand, or the text of a DO block or of an SQL function. Letters of a name, a comment or another
 * constant are no use. A use that only the server can see is not found here: there a run learns from 55P04.
 */
export class NewValues {
  readonly #history = new History();
  /** The statement that creates each enum, under the key of the enum's present name. */
  readonly #created = new Map<string, StatementRef>();
  /** The values of each enum, under the enum's key and the value's text. */
  readonly #added = new Map<string, Map<string, AddedValue>>();
  /** The values by their last word. Those that were forgotten or renamed since stay in it. */
  #count = 0;
  readonly #byWord = new Map<string, AddedValue[]>();

  /**
   * Marks the statements of the folder's next migration. The parser must be loaded.
   * @param trees the known parse trees, by a statement's index; gets those that are made here
   */
  mark(migration: Marked, trees: Map<number, Tree>): readonly Statement[] {
    const { tag, sql, statements } = migration;
    this.#history.begin(tag);
    return statements.map((statement, index) => {
      const words = sql.slice(statement.start, statement.end);
      const node = () => {
        const tree = trees.get(index) ?? parseTree(words);
        // The check reads the tree next.
        if (REPLAYED_KINDS.includes(statement.kind)) trees.set(index, tree);
        return record(tree[statement.kind]);
      };
      const newValues = this.#usesOf(statement, words, node);
      this.#follow(statement, { tag, index }, node);
      return newValues.length === 0 ? statement : { ...statement, newValues };
    });
  }

  #usesOf({ kind, touches = [] }: Statement, words: string, node: () => Node): readonly NewValue[] {
    if (NEVER_USE.includes(kind) || this.#added.size === 0 || words.length > MAX_LENGTH) return [];
    const candidates = this.#valuesIn(words);
    if (candidates.length === 0) return [];
    const tables = touches.filter((each) => each.kind === "table");
    const types = tables.map((table) => this.#history.columnTypes(table));
    const root = node();
    const constants = literalsIn(root, {
      types: types.includes(null) ? null : types.flatMap((each) => each ?? []),
      column: (name) => {
        const [own] = tables.flatMap((table) => this.#history.columnType(table, name) ?? []);
        return own === undefined ? null : [own];
      },
    });
    const programs = programsIn(kind, root);
    return candidates
      .filter(
        (candidate) =>
          programs.some((body) => body.includes(quote(candidate.value))) ||
          constants.some((constant) => mayBe(constant, candidate)),
      )
      .map(({ added, created }) => ({ added, created }));
  }

  /**
   * Returns the values that a text may use, in the order in which they were added. Compared with each value, a folder of
   * thousands of them would take time with their square.
   */
  #valuesIn(words: string): readonly AddedValue[] {
    const known = new Set(words.match(WORDS));
    return ["", ...known]
      .flatMap((word) => this.#byWord.get(word) ?? [])
      .filter((each) => this.#added.get(keyOf(each.type))?.get(each.value) === each)
      .filter(({ value }) => words.includes(quote(value).slice(1, -1)))
      .sort((one, other) => one.order - other.order);
  }

  #follow({ kind, effect }: Statement, at: StatementRef, node: () => Node): void {
    if (REPLAYED_KINDS.includes(kind)) this.#history.replay(kind, node());
    if (effect?.kind === "creates-type") {
      this.#forget([effect.type]);
      this.#created.set(keyOf(effect.type), at);
    }
    if (effect?.kind === "adds-enum-value") this.#add(effect, at);
    if (kind === "AlterEnumStmt" && effect === null) this.#renameValue(node());
    if (kind === "RenameStmt") this.#renameType(node());
    if (kind === "DropStmt" && node().removeType === "OBJECT_TYPE") this.#forget(dropped(node()));
  }

  /** Notes a value. A second ADD VALUE IF NOT EXISTS adds nothing. */
  #add(
    { type, value }: { readonly type: ObjectName; readonly value: string },
    added: StatementRef,
  ) {
    if (this.#added.get(keyOf(type))?.has(value) === true) return;
    const created = this.#created.get(keyOf(type)) ?? null;
    this.#note({ type, value, added, created, order: this.#count });
    this.#count += 1;
  }

  #note(added: AddedValue): void {
    const { type, value } = added;
    const values = this.#added.get(keyOf(type)) ?? new Map<string, AddedValue>();
    this.#added.set(keyOf(type), values.set(value, added));
    const word = value.match(WORDS)?.at(-1) ?? "";
    const others = this.#byWord.get(word) ?? [];
    others.push(added);
    this.#byWord.set(word, others);
  }

  #forget(types: readonly ObjectName[]): void {
    for (const key of types.map(keyOf)) {
      this.#created.delete(key);
      this.#added.delete(key);
    }
  }

  #renameValue({ typeName, oldVal, newVal }: Node): void {
    const values = this.#added.get(keyOf(qualified(typeName)));
    const renamed = values?.get(text(oldVal));
    if (values === undefined || renamed === undefined) return;
    values.delete(text(oldVal));
    this.#note({ ...renamed, value: text(newVal) });
  }

  #renameType({ renameType, object, newname }: Node): void {
    if (renameType !== "OBJECT_TYPE") return;
    const from = qualified(record(record(object).List).items);
    const type = { ...from, name: text(newname) };
    const created = this.#created.get(keyOf(from));
    const values = this.#added.get(keyOf(from));
    this.#forget([from]);
    if (created !== undefined) this.#created.set(keyOf(type), created);
    for (const each of values?.values() ?? []) this.#note({ ...each, type });
  }
}

/** A use of a value has no letter, digit or underscore before it or behind it. */
const WORDS = /[\w\u0080-\uffff]+/g;

/** Kinds of statements whose constants never become an enum value. */
const NEVER_USE = ["AlterEnumStmt", "CreateEnumStmt", "VariableSetStmt", "TransactionStmt"];

/** Types that a constant may take. Null: any, because migrations do not show them. */
type Types = readonly ObjectName[] | null;

/** A string constant, with the types that it may take. */
interface Constant {
  readonly text: string;
  readonly types: Types;
}

/** The types around a constant: those of the statement's tables, and that of a column by its name. */
interface Around {
  readonly types: Types;
  column(name: string): Types;
}

function mayBe({ text: words, types }: Constant, { type, value }: AddedValue): boolean {
  if (types !== null && !types.some((each) => isSame(each, type))) return false;
  return words === value || elementsOf(words).includes(value);
}

function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Returns the elements of an array's text form; none for any other text. */
function elementsOf(words: string): readonly string[] {
  if (!words.startsWith("{")) return [];
  return words
    .replaceAll(/[{}]/g, "")
    .split(",")
    .map((each) => each.trim().replace(/^"(.*)"$/, "$1"));
}

/** Returns the texts of the programs in a statement that the server reads while it runs the statement. */
function programsIn(kind: string, { args, options }: Node): readonly string[] {
  if (kind === "DoStmt") return strings([option(args, "as")?.arg]);
  if (kind !== "CreateFunctionStmt" || !isSqlFunction(options)) return [];
  return strings(record(record(option(options, "as")?.arg).List).items);
}

/** The server looks into the body of a function in SQL when it is made, and into any other when it is called. */
function isSqlFunction(options: unknown): boolean {
  const language = record(record(option(options, "language")?.arg).String).sval;
  return language === undefined || /^sql$/i.test(text(language));
}

/** A part of a tree, with the types that the constants in it take; types undefined: those of the statement. */
interface Visit {
  readonly value: unknown;
  readonly types: Types | undefined;
}

/** Collects the string constants of a tree, from a list of parts: a tree may be deeper than the stack. */
function literalsIn(root: Node, around: Around): readonly Constant[] {
  const found: { readonly text: string; readonly types: Types | undefined }[] = [];
  const named: ObjectName[] = [];
  const typesBelow = typesIn(root, around);
  const visits: Visit[] = [{ value: root, types: undefined }];
  for (let visit = visits.pop(); visit !== undefined; visit = visits.pop()) {
    for (const [name, child] of Object.entries(record(visit.value))) {
      const types = typesBelow(name, child);
      const below = { value: child, types: types === undefined ? visit.types : types };
      named.push(...(types ?? []));
      visits.push(below);
      found.push(...literalOf(name, record(child)).map((each) => ({ ...below, text: each })));
    }
  }
  const free = around.types === null ? null : [...around.types, ...named];
  return found.map(({ text: words, types = free }) => ({ text: words, types }));
}

function literalOf(name: string, node: Node): readonly string[] {
  const { sval } = record(node.sval);
  return name === "A_Const" && typeof sval === "string" ? [sval] : [];
}

/** Makes a reader of the types that the constants below a node take; undefined where the node does not say. */
function typesIn(root: Node, around: Around): (name: string, child: unknown) => Types | undefined {
  const targets = targetsOf(root, around);
  return (name, child) =>
    targets.has(child) ? targets.get(child) : ownTypes(name, record(child), around);
}

/** Returns the types of the columns that take the values of an INSERT or an UPDATE, by the nodes of these values. */
function targetsOf(root: Node, { types, column }: Around): ReadonlyMap<unknown, Types> {
  const targets = new Map<unknown, Types>();
  // In a SELECT the same nodes have the names of results.
  if (root.relation === undefined) return targets;
  const onConflict = record(root.onConflictClause).targetList;
  for (const each of [...list(root.targetList), ...list(onConflict)]) {
    const { name } = record(record(each).ResTarget);
    if (typeof name === "string") targets.set(each, column(name));
  }
  const names = nodes(root.cols, "ResTarget").map(({ name }) => text(name));
  const typeAt = (index: number): Types => {
    const name = names[index];
    if (name !== undefined) return column(name);
    return types?.[index] === undefined ? null : [types[index]];
  };
  for (const row of list(record(record(root.selectStmt).SelectStmt).valuesLists)) {
    const values = list(record(record(row).List).items);
    for (const [index, value] of values.entries()) targets.set(value, typeAt(index));
  }
  return targets;
}

/** Returns the types that the constants below a node take; undefined where it does not say. */
function ownTypes(name: string, node: Node, around: Around): Types | undefined {
  if (name === "TypeCast" || name === "ColumnDef") return [typeOf(node.typeName)];
  if (name === "A_Expr") {
    const names = [columnIn(node.lexpr), columnIn(node.rexpr)].filter((each) => each !== null);
    return names.map(around.column).find((types) => types !== null) ?? undefined;
  }
  if (name === "AlterTableCmd" && node.subtype === "AT_ColumnDefault") {
    return around.column(text(node.name));
  }
  return undefined;
}

function isSame(one: ObjectName, other: ObjectName): boolean {
  return keyOf(one) === keyOf(other);
}
