import type { Touched } from "../../bundle/bundle.ts";
import { type LockMode, strongerLock } from "../../postgres/locks.ts";
import type { ObjectName } from "../../postgres/names.ts";
import { list, type Node, nodes, record, relation, text } from "./tree.ts";

/**
 * The subcommands of ALTER TABLE that take less than ACCESS EXCLUSIVE on the table itself.
 * Source: `AlterTableGetLockLevel` in PostgreSQL's `tablecmds.c`; a test tries every row against a server.
 */
const WEAKER: Readonly<Record<string, LockMode>> = {
  AT_SetStatistics: "SHARE UPDATE EXCLUSIVE",
  AT_SetOptions: "SHARE UPDATE EXCLUSIVE",
  AT_ResetOptions: "SHARE UPDATE EXCLUSIVE",
  AT_ClusterOn: "SHARE UPDATE EXCLUSIVE",
  AT_DropCluster: "SHARE UPDATE EXCLUSIVE",
  AT_ValidateConstraint: "SHARE UPDATE EXCLUSIVE",
  AT_AttachPartition: "SHARE UPDATE EXCLUSIVE",
  AT_DetachPartitionFinalize: "SHARE UPDATE EXCLUSIVE",
  AT_EnableTrig: "SHARE ROW EXCLUSIVE",
  AT_EnableAlwaysTrig: "SHARE ROW EXCLUSIVE",
  AT_EnableReplicaTrig: "SHARE ROW EXCLUSIVE",
  AT_DisableTrig: "SHARE ROW EXCLUSIVE",
  AT_EnableTrigAll: "SHARE ROW EXCLUSIVE",
  AT_DisableTrigAll: "SHARE ROW EXCLUSIVE",
  AT_EnableTrigUser: "SHARE ROW EXCLUSIVE",
  AT_DisableTrigUser: "SHARE ROW EXCLUSIVE",
};

/** Storage parameters that take ACCESS EXCLUSIVE; all the others take SHARE UPDATE EXCLUSIVE (`reloptions.c`). */
const STRONG_OPTIONS: readonly string[] = [
  "user_catalog_table",
  "security_barrier",
  "security_invoker",
  "check_option",
  "fastupdate",
  "gin_pending_list_limit",
  "buffering",
  "pages_per_range",
  "autosummarize",
];

/** Returns the lock that an ALTER TABLE takes on its table: the strongest one that a subcommand needs. */
export function alterTableLock({ cmds }: Node): LockMode | null {
  return nodes(cmds, "AlterTableCmd").map(commandLock).reduce(strongerLock, null);
}

function commandLock(command: Node): LockMode {
  const subtype = text(command.subtype);
  if (subtype === "AT_AddConstraint") {
    const isForeign = record(record(command.def).Constraint).contype === "CONSTR_FOREIGN";
    return isForeign ? "SHARE ROW EXCLUSIVE" : "ACCESS EXCLUSIVE";
  }
  if (subtype === "AT_DetachPartition") {
    const { concurrent } = record(record(command.def).PartitionCmd);
    return concurrent === true ? "SHARE UPDATE EXCLUSIVE" : "ACCESS EXCLUSIVE";
  }
  if (subtype === "AT_SetRelOptions" || subtype === "AT_ResetRelOptions") {
    const names = nodes(record(record(command.def).List).items, "DefElem");
    const isStrong = names.some(({ defname }) => STRONG_OPTIONS.includes(text(defname)));
    return isStrong ? "ACCESS EXCLUSIVE" : "SHARE UPDATE EXCLUSIVE";
  }
  return WEAKER[subtype] ?? "ACCESS EXCLUSIVE";
}

/** Returns the objects that the subcommands of an ALTER TABLE lock beside its table. */
export function alterTableOthers(table: ObjectName, { cmds }: Node): readonly Touched[] {
  return nodes(cmds, "AlterTableCmd").flatMap((command) => [
    ...referencedBy(command.def),
    ...(OTHERS[text(command.subtype)]?.(record(command.def), command, table) ?? []),
  ]);
}

type Others = (def: Node, command: Node, table: ObjectName) => readonly Touched[];

const OTHERS: Readonly<Record<string, Others>> = {
  AT_AttachPartition: (def, _command, table) => [
    { kind: "table", ...partitionOf(def), lock: "ACCESS EXCLUSIVE" },
    { kind: "default-partition", ...table, lock: "ACCESS EXCLUSIVE" },
    { kind: "tables-linked-by-foreign-key", ...table, lock: "SHARE ROW EXCLUSIVE" },
  ],
  AT_DetachPartition: (def, _command, table) => {
    const concurrent = record(def.PartitionCmd).concurrent === true;
    const partition = { kind: "table", ...partitionOf(def) };
    if (concurrent) return [{ ...partition, lock: "ACCESS EXCLUSIVE" }];
    return [
      { ...partition, lock: "ACCESS EXCLUSIVE" },
      { kind: "default-partition", ...table, lock: "ACCESS EXCLUSIVE" },
    ];
  },
  AT_DetachPartitionFinalize: (def) => [
    { kind: "table", ...partitionOf(def), lock: "ACCESS EXCLUSIVE" },
  ],
  AT_AddInherit: (def) => [
    { kind: "table", ...relation(def.RangeVar), lock: "SHARE UPDATE EXCLUSIVE" },
  ],
  AT_DropInherit: (def) => [{ kind: "table", ...relation(def.RangeVar), lock: "ACCESS SHARE" }],
  AT_ValidateConstraint: (_def, { name }, { schema }) => [
    { kind: "tables-of-constraint", schema, name: text(name), lock: "ROW SHARE" },
  ],
  AT_DropConstraint: (_def, { name }, { schema }) => [
    { kind: "tables-of-constraint", schema, name: text(name), lock: "ACCESS EXCLUSIVE" },
  ],
  AT_AddIndexConstraint: (def, _command, { schema }) => [
    { kind: "index", schema, name: text(record(def.IndexStmt).idxname), lock: "ACCESS EXCLUSIVE" },
  ],
};

function partitionOf(def: Node): ObjectName {
  return relation(record(def.PartitionCmd).name);
}

/** Returns the tables to which foreign keys refer in a table element (a column or a constraint). */
function referencedBy(element: unknown): readonly Touched[] {
  const { Constraint, ColumnDef } = record(element);
  const constraints = [
    ...(Constraint === undefined ? [] : [record(Constraint)]),
    ...nodes(record(ColumnDef).constraints, "Constraint"),
  ];
  return constraints
    .filter(({ contype }) => contype === "CONSTR_FOREIGN")
    .map(({ pktable }) => ({
      kind: "table",
      ...relation(pktable),
      lock: "SHARE ROW EXCLUSIVE" as const,
    }));
}

/** Returns the tables to which foreign keys refer in all elements of a new table. */
export function referencedByAll(elements: unknown): readonly Touched[] {
  return list(elements).flatMap(referencedBy);
}
