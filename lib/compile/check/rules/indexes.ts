import { type ObjectName, quoteName } from "../../../postgres/names.ts";
import { dropped, type Node, record, relation, text } from "../../sql/tree.ts";
import { type Checked, ifPartitioned, type Problem, type Rule } from "../rule.ts";

const CREATE_INDEX = /^(create\s+(?:unique\s+)?index)\b/i;

/** Rules about indexes that block other sessions while they are built, dropped or rebuilt. */
export const INDEX_RULES: readonly Rule[] = [
  {
    id: "index-not-concurrent",
    severity: "error",
    summary:
      "Building an index without CONCURRENTLY blocks every write to its table until it is built.",
    kinds: ["IndexStmt"],
    check: ({ node, text: sql, isNew, history }) => {
      const table = relation(node.relation);
      if (node.concurrent === true || isNew(table)) return [];
      const partitioned = history.isPartitioned(table);
      // An index ON ONLY the partitioned table builds nothing; its partitions get their indexes one by one.
      if (partitioned && record(node.relation).inh !== true) return [];
      return [
        {
          message: `${quoteName(table)} takes no writes while this index is built.`,
          rewrite: partitioned
            ? `${sql.replace(/\bon\s+(?!only\b)/i, "ON ONLY ")};\n-- Then for each partition: CREATE INDEX CONCURRENTLY on it, and ALTER INDEX … ATTACH PARTITION.`
            : `${sql.replace(CREATE_INDEX, "$1 CONCURRENTLY")};${ifPartitioned(history, table, "CREATE INDEX … ON ONLY it, one CONCURRENTLY for each partition, and ATTACH PARTITION")}`,
          table,
          asks: { kind: "scan", index: null },
        },
      ];
    },
  },
  {
    id: "index-dropped-not-concurrent",
    severity: "warning",
    summary:
      "Dropping an index without CONCURRENTLY waits for every query on its table, and all later ones wait behind it.",
    kinds: ["DropStmt"],
    check: droppedIndexes,
  },
  {
    id: "reindex-not-concurrent",
    severity: "error",
    summary:
      "REINDEX without CONCURRENTLY blocks writes to the table, and reads by that index, until it is done.",
    kinds: ["ReindexStmt"],
    check: ({ node, text: sql, isNew }) => {
      const of = relation(node.relation);
      if (/\bconcurrently\b/i.test(sql) || isNew(of)) return [];
      const isIndex = node.kind === "REINDEX_OBJECT_INDEX";
      const named = node.relation !== undefined;
      return [
        {
          message: `${named ? quoteName(of) : `${text(node.name) || "the database"}`} takes no writes while its indexes are rebuilt.`,
          rewrite: `${sql.replace(/\b(index|table|schema|database|system)\b/i, "$1 CONCURRENTLY")};`,
          ...(named && !isIndex ? { table: of } : {}),
          ...(named ? { asks: { kind: "scan", index: isIndex ? of : null } } : {}),
        },
      ];
    },
  },
];

function droppedIndexes({ node, history, isNew, tag }: Checked): readonly Problem[] {
  if (node.removeType !== "OBJECT_INDEX" || node.concurrent === true) return [];
  return dropped(node).flatMap((index) => {
    const table: ObjectName | null = history.tableOfIndex(index);
    if (table !== null && (isNew(table) || history.createdIn(table) === tag)) return [];
    const of = table === null ? "Its table" : quoteName(table);
    return [
      {
        message: `${of} is locked against reads and writes until ${quoteName(index)} is gone, and that waits for every query that runs on it.`,
        rewrite: `${dropRewrite(node, index, table !== null && history.isPartitioned(table))}${ifPartitioned(history, table, "DROP INDEX without it, alone in a file, with a short lock-timeout")}`,
        ...(table === null ? {} : { table }),
        asks: { kind: "scan", index },
      } satisfies Problem,
    ];
  });
}

/** PostgreSQL refuses CONCURRENTLY for the index of a partitioned table, and drops those of its partitions with it. */
function dropRewrite({ missing_ok }: Node, index: ObjectName, partitioned: boolean): string {
  const which = `${missing_ok === true ? "IF EXISTS " : ""}${quoteName(index)};`;
  if (!partitioned) return `DROP INDEX CONCURRENTLY ${which}`;
  return `-- The index of a partitioned table cannot be dropped CONCURRENTLY. Alone in a file it holds its locks for a moment only.
-- neon-migrate: allow index-dropped-not-concurrent
-- neon-migrate: lock-timeout 2s
DROP INDEX ${which}`;
}
