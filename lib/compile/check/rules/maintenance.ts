import { quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import { nodes, record, relation, text } from "../../sql/tree.ts";
import type { Rule } from "../rule.ts";
import { NEON_EXTENSIONS } from "./neon-extensions.ts";

/** Rules about maintenance and extensions. */
export const MAINTENANCE_RULES: readonly Rule[] = [
  {
    id: "vacuum-full-or-cluster",
    severity: "error",
    summary:
      "VACUUM FULL and CLUSTER write a whole table anew while nobody else may read or write it.",
    kinds: ["VacuumStmt", "ClusterStmt"],
    check: ({ node, statement }) => {
      const full = nodes(node.options, "DefElem").some(
        ({ defname, arg }) =>
          defname === "full" &&
          !/^(?:false|off|0)$/i.test(String(record(record(arg).String).sval ?? "")),
      );
      if (statement.kind === "VacuumStmt" && !full) return [];
      const tables =
        statement.kind === "ClusterStmt"
          ? [relation(node.relation)]
          : nodes(node.rels, "VacuumRelation").map((each) => relation(each.relation));
      const named = tables.filter(({ name }) => name !== "");
      return (named.length === 0 ? [null] : named).map((table) => ({
        message: `${table === null ? "Every table in turn" : quoteName(table)} is written anew, and nobody else may read or write it meanwhile.`,
        rewrite: `VACUUM (ANALYZE)${table === null ? "" : ` ${quoteName(table)}`};`,
        ...(table === null ? {} : { table, asks: { kind: "scan", index: null } as const }),
      }));
    },
  },
  {
    id: "extension-not-on-neon",
    severity: "warning",
    summary:
      "Neon installs the extensions of its list only; CREATE EXTENSION of another one fails there.",
    kinds: ["CreateExtensionStmt"],
    check: ({ node }) => {
      const name = text(node.extname);
      if (NEON_EXTENSIONS.has(name)) return [];
      const other = OTHER_NAMES[name];
      return [
        {
          message: `${quoteIdentifier(name)} is not on Neon's list of extensions${other === undefined ? "" : `; there it is called ${quoteIdentifier(other)}`}.`,
          rewrite:
            other === undefined
              ? "-- Leave it out. What a Neon compute has:\nSELECT name, default_version FROM pg_available_extensions ORDER BY name;"
              : `CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(other)};`,
          asks: { kind: "extension", name },
        },
      ];
    },
  },
];

/** Projects whose extensions have another name, from the notes of Neon's list. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  pgvector: "vector",
  pg_roaringbitmap: "roaringbitmap",
  pgx_ulid: "ulid",
  uuid: "uuid-ossp",
};
