import type { RuleId } from "../../../bundle/rule-ids.ts";
import { quoteIdentifier, quoteName } from "../../../postgres/names.ts";
import type { ColumnType } from "../../../postgres/types.ts";
import {
  addedColumn,
  alterCommands,
  type Node,
  nodes,
  oncePerNode,
  record,
  relation,
  serialInteger,
  sqlType,
  text,
  typeOf,
} from "../../sql/tree.ts";
import type { Checked, Problem, Rule } from "../rule.ts";

/** Rules about types that PostgreSQL's wiki ("Don't Do This") and most teams avoid, each with a better type. */
export const TYPE_RULES: readonly Rule[] = [
  avoid(
    "timestamp-without-time-zone",
    "A timestamp without time zone says no moment: what it means depends on who reads it.",
    ({ name }) => name === "timestamp",
    (type) => `timestamp${precision(type)} with time zone`,
  ),
  avoid(
    "serial",
    "A serial column owns its sequence loosely: rights and dumps treat the two apart, where an identity column is one.",
    (type) => serialInteger(type) !== null,
    (type) => `${serialInteger(type)} GENERATED ALWAYS AS IDENTITY`,
  ),
  avoid(
    "varchar-length",
    "A length limit in a type is changed under a strong lock; a CHECK on text can be added and validated without one.",
    ({ name, modifiers }) => name === "varchar" && modifiers.length > 0,
    () => "text",
    ({ modifiers: [length = 0] }, column) => ` CHECK (length(${column}) <= ${length})`,
  ),
  avoid(
    "char",
    "char(n) fills every value up with blanks, which count in some comparisons and not in others.",
    ({ name }) => name === "bpchar",
    () => "text",
    ({ modifiers: [length = 1] }, column) => ` CHECK (length(${column}) <= ${length})`,
  ),
  avoid(
    "money",
    "What a money value means depends on the server's lc_monetary, and it has no currency.",
    ({ name }) => name === "money",
    () => "numeric(19, 4)",
  ),
  avoid(
    "json",
    "json keeps the text as it is, has no equality and no index; jsonb has them.",
    ({ name }) => name === "json",
    () => "jsonb",
  ),
];

function precision({ modifiers: [digits] }: ColumnType): string {
  return digits === undefined ? "" : `(${digits})`;
}

function avoid(
  id: RuleId,
  summary: string,
  matches: (type: ColumnType) => boolean,
  instead: (type: ColumnType) => string,
  condition: (type: ColumnType, column: string) => string = () => "",
): Rule {
  const check = (statement: Checked): readonly Problem[] => {
    const found = columnsOf(statement.node).filter(({ type }) => matches(type));
    const [first] = found;
    if (first === undefined) return [];
    const names = found.map(({ name }) => quoteIdentifier(name)).join(", ");
    const better = { ...first.type, modifiers: [], array: false };
    return [
      {
        message: `${names} of ${quoteName(relation(statement.node.relation))} ${found.length === 1 ? "has" : "have"} the type ${sqlType({ ...first.type, array: false })}; take ${instead(better)} instead.`,
        rewrite: found
          .map(({ name, type }) => {
            const column = quoteIdentifier(name);
            return `${column} ${instead(type)}${type.array ? "[]" : condition(type, column)}`;
          })
          .join(",\n"),
        at: first.at,
      },
    ];
  };
  return { id, severity: "note", summary, kinds: ["CreateStmt", "AlterTableStmt"], check };
}

interface TypedColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly at: number;
}

const columnsOf = oncePerNode((node): readonly TypedColumn[] => {
  const created = nodes(node.tableElts, "ColumnDef").map((column) =>
    typed(column, text(column.colname)),
  );
  const altered = alterCommands(node).flatMap((command) => {
    const added = addedColumn(command);
    if (added !== null) return [typed(added, text(added.colname))];
    if (command.subtype !== "AT_AlterColumnType") return [];
    return [typed(record(command.def.ColumnDef), command.name)];
  });
  return [...created, ...altered];
});

function typed({ typeName, location }: Node, name: string): TypedColumn {
  return { name, type: typeOf(typeName), at: Number(location ?? 0) };
}
