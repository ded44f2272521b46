import type { Touched } from "../../bundle/bundle.ts";
import { LOCK_MODES, type LockMode, strongerLock } from "../../postgres/locks.ts";
import { alterTableLock, alterTableOthers, referencedByAll } from "./alter-table.ts";
import { drop } from "./drop.ts";
import { tablesIn } from "./queries.ts";
import {
  kindOf,
  objectName,
  on,
  PARTS_OF_TABLES,
  partOfTable,
  partsOf,
  RELATIONS,
} from "./touched.ts";
import {
  list,
  type Node,
  nameOf,
  nodes,
  option,
  qualified,
  record,
  relation,
  text,
} from "./tree.ts";

/**
 * Returns the objects that a statement names or locks, as far as its parse tree tells: each once, with the strongest
 * lock. The locks are those of PostgreSQL 18; a test tries each of them against a server (`docs/reference/locks.md`).
 */
export function touchesOf(stmt: Node): readonly Touched[] {
  const [name = ""] = Object.keys(stmt);
  const touched = TOUCHES[name]?.(record(stmt[name])) ?? [];
  return merged([...touched, ...tablesIn(stmt)]);
}

type Touches = (node: Node) => readonly Touched[];

function merged(all: readonly Touched[]): readonly Touched[] {
  const found = new Map<string, Touched>();
  for (const each of all) {
    // No name holds this character.
    const key = `${each.kind}\0${each.schema ?? ""}\0${each.name}`;
    const before = found.get(key);
    const lock = strongerLock(before?.lock ?? null, each.lock ?? null);
    const { kind, schema, name } = before ?? each;
    found.set(key, { kind, schema, name, ...(lock === null ? {} : { lock }) });
  }
  return [...found.values()];
}

const TOUCHES: Readonly<Record<string, Touches>> = {
  AlterTableStmt: alterTable,
  CreateStmt: createTable,
  CreateForeignTableStmt: ({ base }) => createTable(record(base)),
  CreateTableAsStmt: ({ into, objtype }) => [on(kindOf(objtype), relation(record(into).rel))],
  ViewStmt: ({ view, replace }) => [
    on("view", relation(view), replace === true ? "ACCESS EXCLUSIVE" : undefined),
  ],
  IndexStmt: (node) => [
    on(
      "table",
      relation(node.relation),
      node.concurrent === true ? "SHARE UPDATE EXCLUSIVE" : "SHARE",
    ),
    ...(typeof node.idxname === "string"
      ? [on("index", { schema: relation(node.relation).schema, name: node.idxname })]
      : []),
  ],
  DropStmt: drop,
  TruncateStmt: ({ relations, behavior }) =>
    nodes(relations, "RangeVar").flatMap((each) => [
      on("table", relation(each), "ACCESS EXCLUSIVE"),
      ...(behavior === "DROP_CASCADE"
        ? [on("tables-referencing", relation(each), "ACCESS EXCLUSIVE")]
        : []),
    ]),
  RenameStmt: rename,
  AlterObjectSchemaStmt: (node) => {
    const kind = kindOf(node.objectType);
    return RELATIONS.includes(kind)
      ? [on(kind, relation(node.relation), "ACCESS EXCLUSIVE")]
      : [on(kind, objectName(node.object))];
  },
  AlterOwnerStmt: ({ objectType, object }) => [on(kindOf(objectType), objectName(object))],
  CommentStmt: ({ objtype, object }) => describes(kindOf(objtype), object),
  SecLabelStmt: ({ objtype, object }) => describes(kindOf(objtype), object),
  CreateTrigStmt: (node) => [
    on("table", relation(node.relation), "SHARE ROW EXCLUSIVE"),
    ...(node.constrrel === undefined
      ? []
      : [on("table", relation(node.constrrel), "ACCESS SHARE")]),
    on("trigger", { schema: null, name: text(node.trigname) }),
  ],
  RuleStmt: (node) => [
    on("table", relation(node.relation), "ACCESS EXCLUSIVE"),
    on("rule", { schema: null, name: text(node.rulename) }),
  ],
  CreatePolicyStmt: policy,
  AlterPolicyStmt: policy,
  CreateStatsStmt: ({ defnames, relations }) => [
    on("statistics", qualified(defnames)),
    ...nodes(relations, "RangeVar").map((each) =>
      on("table", relation(each), "SHARE UPDATE EXCLUSIVE"),
    ),
  ],
  AlterStatsStmt: ({ defnames }) => [on("statistics", qualified(defnames))],
  RefreshMatViewStmt: (node) => [
    on(
      "materialized-view",
      relation(node.relation),
      node.concurrent === true ? "EXCLUSIVE" : "ACCESS EXCLUSIVE",
    ),
    on("tables-read-by-view", relation(node.relation), "ACCESS SHARE"),
  ],
  ReindexStmt: reindex,
  ClusterStmt: (node) =>
    node.relation === undefined ? [] : [on("table", relation(node.relation), "ACCESS EXCLUSIVE")],
  VacuumStmt: vacuum,
  LockStmt: ({ relations, mode }) =>
    nodes(relations, "RangeVar").map((each) => on("table", relation(each), lockNumber(mode))),
  CopyStmt: (node) =>
    node.relation === undefined
      ? []
      : [
          on(
            "table",
            relation(node.relation),
            node.is_from === true ? "ROW EXCLUSIVE" : "ACCESS SHARE",
          ),
        ],
  GrantStmt: ({ objtype, objects }) => {
    const kind = kindOf(objtype);
    const lock = RELATIONS.includes(kind) ? "ACCESS SHARE" : undefined;
    return list(objects).map((each) => on(kind, objectName(each), lock));
  },
  CreateSeqStmt: (node) => [on("sequence", relation(node.sequence)), ...ownedBy(node.options)],
  AlterSeqStmt: (node) => [
    on("sequence", relation(node.sequence), "SHARE ROW EXCLUSIVE"),
    ...ownedBy(node.options),
  ],
  CreateSchemaStmt: ({ schemaname, schemaElts }) => [
    on("schema", { schema: null, name: text(schemaname) }),
    ...list(schemaElts).flatMap((each) => touchesOf(record(each))),
  ],
  CreateExtensionStmt: ({ extname }) => [on("extension", { schema: null, name: text(extname) })],
  AlterExtensionStmt: ({ extname }) => [on("extension", { schema: null, name: text(extname) })],
  CreateFunctionStmt: ({ funcname, is_procedure }) => [
    on(is_procedure === true ? "procedure" : "function", qualified(funcname)),
  ],
  CreateEnumStmt: ({ typeName }) => [on("type", qualified(typeName))],
  AlterEnumStmt: ({ typeName }) => [on("type", qualified(typeName))],
  CreateRangeStmt: ({ typeName }) => [on("type", qualified(typeName))],
  CompositeTypeStmt: ({ typevar }) => [on("type", relation(typevar))],
  CreateDomainStmt: ({ domainname }) => [on("domain", qualified(domainname))],
  AlterDomainStmt: ({ typeName, subtype }) => [
    on("domain", qualified(typeName)),
    ...(/^[COV]$/.test(text(subtype))
      ? [on("tables-with-type", qualified(typeName), "SHARE")]
      : []),
  ],
  CreatePublicationStmt: publication,
  AlterPublicationStmt: publication,
  CreateRoleStmt: ({ role }) => [on("role", { schema: null, name: text(role) })],
  CreatedbStmt: ({ dbname }) => [on("database", { schema: null, name: text(dbname) })],
  DropdbStmt: ({ dbname }) => [on("database", { schema: null, name: text(dbname) })],
};

function alterTable(node: Node): readonly Touched[] {
  const kind = kindOf(node.objtype);
  const table = relation(node.relation);
  return [on(kind, table, alterTableLock(node) ?? undefined), ...alterTableOthers(table, node)];
}

function createTable(node: Node): readonly Touched[] {
  const { inhRelations, partbound, tableElts } = node;
  const parents = nodes(inhRelations, "RangeVar").map(relation);
  const likes = nodes(tableElts, "TableLikeClause");
  return [
    on("table", relation(node.relation)),
    ...parents.flatMap((parent) =>
      partbound === undefined
        ? [on("table", parent, "SHARE UPDATE EXCLUSIVE")]
        : [
            on("table", parent, "ACCESS EXCLUSIVE"),
            on("default-partition", parent, "ACCESS EXCLUSIVE"),
            on("tables-linked-by-foreign-key", parent, "SHARE ROW EXCLUSIVE"),
          ],
    ),
    ...likes.map((like) => on("table", relation(like.relation), "ACCESS SHARE")),
    ...referencedByAll(tableElts).filter(({ name }) => name !== relation(node.relation).name),
    ...referencedByAll(node.constraints),
  ];
}

function rename(node: Node): readonly Touched[] {
  const { renameType, relationType, object, subname } = node;
  const kind = kindOf(renameType);
  if (node.relation === undefined) return [on(kind, objectName(object))];
  const name = relation(node.relation);
  if (kind === "index") return [on(kind, name, "SHARE UPDATE EXCLUSIVE")];
  if (RELATIONS.includes(kind)) return [on(kind, name, "ACCESS EXCLUSIVE")];
  const owner = kind === "column" ? kindOf(relationType) : "table";
  return [
    on(owner, name, "ACCESS EXCLUSIVE"),
    ...(kind === "column" ? [] : [on(kind, { schema: null, name: text(subname) })]),
  ];
}

/** Returns the objects that COMMENT and SECURITY LABEL touch. */
function describes(kind: string, object: unknown): readonly Touched[] {
  if (RELATIONS.includes(kind)) return [on(kind, objectName(object), "SHARE UPDATE EXCLUSIVE")];
  if (kind === "column") {
    return [on("table", nameOf(partsOf(object).slice(0, -1)), "SHARE UPDATE EXCLUSIVE")];
  }
  const isPart = PARTS_OF_TABLES.includes(kind) || kind === "tabconstraint";
  return isPart ? partOfTable(kind, object, "ACCESS SHARE") : [on(kind, objectName(object))];
}

function policy(node: Node): readonly Touched[] {
  return [
    on("table", relation(node.table), "ACCESS EXCLUSIVE"),
    on("policy", { schema: null, name: text(node.policy_name) }),
  ];
}

function reindex(node: Node): readonly Touched[] {
  const concurrent = option(node.params, "concurrently") !== undefined;
  const kind = text(node.kind);
  if (node.relation === undefined) return [];
  const name = relation(node.relation);
  if (kind !== "REINDEX_OBJECT_INDEX") {
    return [on("table", name, concurrent ? "SHARE UPDATE EXCLUSIVE" : "SHARE")];
  }
  return [
    on("index", name, concurrent ? "SHARE UPDATE EXCLUSIVE" : "ACCESS EXCLUSIVE"),
    on("table-of-index", name, concurrent ? "SHARE UPDATE EXCLUSIVE" : "SHARE"),
  ];
}

function vacuum({ rels, options }: Node): readonly Touched[] {
  const full = option(options, "full");
  const isFull =
    full !== undefined && !/^(false|off|0)$/.test(text(record(record(full.arg).String).sval));
  return nodes(rels, "VacuumRelation").map((each) =>
    on("table", relation(each.relation), isFull ? "ACCESS EXCLUSIVE" : "SHARE UPDATE EXCLUSIVE"),
  );
}

function publication({ pubname, pubobjects }: Node): readonly Touched[] {
  const tables = nodes(pubobjects, "PublicationObjSpec").map(
    ({ pubtable }) => record(pubtable).relation,
  );
  return [
    on("publication", { schema: null, name: text(pubname) }),
    ...tables
      .filter((each) => each !== undefined)
      .map((each) => on("table", relation(each), "SHARE UPDATE EXCLUSIVE")),
  ];
}

function ownedBy(options: unknown): readonly Touched[] {
  const parts = partsOf(record(option(options, "owned_by")).arg);
  return parts.length < 2 ? [] : [on("table", nameOf(parts.slice(0, -1)), "ACCESS SHARE")];
}

/** Returns the lock of a mode's number. The parser counts the modes from 1, the weakest first. */
function lockNumber(mode: unknown): LockMode {
  return LOCK_MODES[Number(mode) - 1] ?? "ACCESS EXCLUSIVE";
}
