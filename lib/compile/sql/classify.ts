import type { Effect, StatementMode } from "../../bundle/bundle.ts";
import { scanTokens } from "./scanner.ts";
import { list, type Node, option, qualified, record, relation, text } from "./tree.ts";

/** Whether a statement may be in a transaction, and the effect that a later run can look for. */
interface Classification {
  readonly mode: StatementMode;
  readonly effect: Effect | null;
}

const TRANSACTIONAL: Classification = { mode: "transactional", effect: null };
const REPEATABLE: Effect = { kind: "repeatable" };

/**
 * Says from the parse tree whether a statement may run inside a transaction. A statement of which only the catalog can
 * tell (REINDEX of a partitioned table, a procedure that commits) counts as transactional here.
 * Source: the calls of PreventInTransactionBlock in PostgreSQL 18.
 * @param text returns the statement's own text
 */
export function classify(stmt: Node, text: () => string): Classification {
  const [name = ""] = Object.keys(stmt);
  const node = record(stmt[name]);
  return CLASSIFIERS[name]?.(node, text) ?? TRANSACTIONAL;
}

const CLASSIFIERS: Readonly<
  Record<string, (node: Node, text: () => string) => Classification | null>
> = {
  TransactionStmt: transactionControl,
  IndexStmt: (node, text) => (node.concurrent === true ? alone(buildsIndex(node, text())) : null),
  DropStmt: (node) => (node.concurrent === true ? alone(dropsIndexes(node)) : null),
  ReindexStmt: reindex,
  AlterTableStmt: detach,
  VacuumStmt: (node) => (node.is_vacuumcmd === true ? alone(REPEATABLE) : null),
  ClusterStmt: (node) => (node.relation === undefined ? alone(REPEATABLE) : null),
  DiscardStmt: (node) => (node.target === "DISCARD_ALL" ? alone(REPEATABLE) : null),
  AlterSystemStmt: () => alone(REPEATABLE),
  AlterDatabaseStmt: (node) => (hasOption(node, "tablespace") ? alone(REPEATABLE) : null),
  AlterSubscriptionStmt: (node) =>
    /REFRESH|PUBLICATION/.test(String(node.kind)) ? alone(REPEATABLE) : null,
  CreatedbStmt: (node) => alone({ kind: "creates", object: "database", name: text(node.dbname) }),
  DropdbStmt: (node) => alone({ kind: "drops", object: "database", name: text(node.dbname) }),
  CreateTableSpaceStmt: (node) =>
    alone({ kind: "creates", object: "tablespace", name: text(node.tablespacename) }),
  DropTableSpaceStmt: (node) =>
    alone({ kind: "drops", object: "tablespace", name: text(node.tablespacename) }),
  CreateSubscriptionStmt: createSubscription,
  DropSubscriptionStmt: (node) =>
    alone({ kind: "drops", object: "subscription", name: text(node.subname) }),
  AlterEnumStmt: addsEnumValue,
  CreateEnumStmt: (node) => ({
    mode: "transactional",
    effect: { kind: "creates-type", type: qualified(node.typeName) },
  }),
  SelectStmt: (node) =>
    setsConfig(node) ? { mode: "transactional", effect: { kind: "sets" } } : null,
  VariableSetStmt: (node) =>
    node.is_local === true || node.name === "TRANSACTION"
      ? null
      : { mode: "transactional", effect: { kind: "sets" } },
};

/** Marks a statement that PostgreSQL refuses in a transaction: it commits in between, or it cannot be rolled back. */
function alone(effect: Effect): Classification {
  return { mode: "alone", effect };
}

function transactionControl({ kind, chain }: Node): Classification | null {
  switch (kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      return { mode: "begin", effect: null };
    case "TRANS_STMT_COMMIT":
      return { mode: chain === true ? "commit-and-begin" : "commit", effect: null };
    case "TRANS_STMT_ROLLBACK":
      return { mode: chain === true ? "rollback-and-begin" : "rollback", effect: null };
    case "TRANS_STMT_PREPARE":
    case "TRANS_STMT_COMMIT_PREPARED":
    case "TRANS_STMT_ROLLBACK_PREPARED":
      return alone({ kind: "unknown" });
    default:
      return null;
  }
}

function buildsIndex(node: Node, text: string): Effect {
  const table = relation(node.relation);
  const index = typeof node.idxname === "string" ? node.idxname : null;
  const unique = node.unique === true;
  return { kind: "builds-index", table, index, unique, from: behindTable(text) };
}

/** Finds the token behind the table: `ON [ONLY] name`, `ON name *` or `ON ONLY (name)`. */
function behindTable(statement: string): number {
  const tokens = scanTokens(statement).filter(({ comment }) => comment === null);
  const at = (index: number) => tokens[index]?.text.toLowerCase() ?? "";
  let next = tokens.findIndex((_token, index) => at(index) === "on") + 1;
  if (at(next) === "only") next += 1;
  const closed = at(next) === "(";
  next += closed ? 2 : 1;
  while (at(next) === ".") next += 2;
  if (closed || at(next) === "*") next += 1;
  return tokens[next]?.start ?? statement.length;
}

function dropsIndexes({ objects }: Node): Effect {
  const lists = list(objects).map((each) => record(record(each).List).items);
  return { kind: "drops-indexes", indexes: lists.map(qualified) };
}

function reindex(node: Node): Classification | null {
  const whole = /DATABASE|SYSTEM|SCHEMA/.test(String(node.kind));
  const concurrently = list(node.params).some(
    (param) => record(record(param).DefElem).defname === "concurrently",
  );
  if (concurrently) {
    return alone({
      kind: "rebuilds-indexes",
      of: whole ? null : relation(node.relation),
    });
  }
  return whole ? alone(REPEATABLE) : null;
}

function detach(node: Node): Classification | null {
  for (const each of list(node.cmds)) {
    const command = record(record(each).AlterTableCmd);
    const partition = record(record(command.def).PartitionCmd);
    if (command.subtype === "AT_DetachPartition" && partition.concurrent === true) {
      return alone({
        kind: "detaches",
        table: relation(node.relation),
        partition: relation(partition.name),
      });
    }
  }
  return null;
}

/** Returns null for a subscription without a slot or a connection: it touches nothing outside the database. */
function createSubscription(node: Node): Classification | null {
  for (const name of ["create_slot", "connect"]) {
    const value = record(record(option(node.options, name)).arg);
    const off = /^(false|off|0)$/.test(String(record(value.String).sval ?? ""));
    if (off) return null;
  }
  return alone({
    kind: "creates",
    object: "subscription",
    name: text(node.subname),
  });
}

function addsEnumValue(node: Node): Classification | null {
  if (node.oldVal !== undefined || typeof node.newVal !== "string") return null;
  const type = qualified(node.typeName);
  return { mode: "transactional", effect: { kind: "adds-enum-value", type, value: node.newVal } };
}

/** Finds `select set_config(name, value, false)`, as pg_dump writes it at the head of its files. */
function setsConfig({ targetList }: Node): boolean {
  return list(targetList).some((target) => {
    const { funcname, args } = record(record(record(record(target).ResTarget).val).FuncCall);
    const local = record(record(list(args)[2]).A_Const).boolval;
    return qualified(funcname).name === "set_config" && record(local).boolval !== true;
  });
}

function hasOption({ options }: Node, name: string): boolean {
  return option(options, name) !== undefined;
}
