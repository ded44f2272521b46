import type { Statement } from "../../../bundle/bundle.ts";
import { quoteName } from "../../../postgres/names.ts";
import { qualified, strings } from "../../sql/tree.ts";
import type { Checked, Problem, Rule } from "../rule.ts";

/** Rules about enums. PostgreSQL can add a value to an enum, but cannot remove one. */
export const ENUM_RULES: readonly Rule[] = [
  {
    id: "enum-value-used-in-same-migration",
    severity: "warning",
    summary:
      "A new enum value cannot be used in the transaction that adds it, so that this migration takes more than one and is not atomic.",
    kinds: ["AlterEnumStmt"],
    check: usedValue,
  },
  {
    id: "enum-value-removed",
    severity: "error",
    summary:
      "An enum is put in the place of another to lose a value: every column of that type is written anew, and a row that still has the value makes it fail.",
    kinds: ["CreateEnumStmt"],
    check: ({ node, history, tag }) => {
      const type = qualified(node.typeName);
      const before = history.enumGoneIn(tag, type);
      if (before === null) return [];
      const values = strings(node.vals);
      const removed = before.filter((value) => !values.includes(value));
      const added = values.filter((value) => !before.includes(value));
      const known = before.length > 0;
      const lost = known
        ? `, and rows that hold ${removed.map(quote).join(", ")} make it fail`
        : "";
      if (known && removed.length === 0) {
        return [
          {
            message: `Every column of the type ${quoteName(type)} is written anew, although no value of it is removed.`,
            rewrite:
              added
                .map((value) => `ALTER TYPE ${quoteName(type)} ADD VALUE ${quote(value)};`)
                .join("\n") || `-- Leave ${quoteName(type)} as it is.`,
          },
        ];
      }
      return [
        {
          message: `Every column of the type ${quoteName(type)} is written anew${lost}.`,
          rewrite: `-- Leave ${known ? removed.map(quote).join(", ") : "the value"} in the type, and keep it out of the rows by a CHECK that is added NOT VALID and validated.`,
        },
      ];
    },
  },
];

/** Reports a new value that its own migration uses, at the statement that adds the value: that one must be moved. */
function usedValue({ statement, index, migration }: Checked): readonly Problem[] {
  const { effect } = statement;
  if (effect?.kind !== "adds-enum-value") return [];
  const user = usersOf(migration).get(index);
  if (user === undefined) return [];
  return [
    {
      message: `${quote(effect.value)} is used in line ${user.line} and must be committed before, so that this migration cannot be rolled back as a whole.`,
      rewrite: `ALTER TYPE ${quoteName(effect.type)} ADD VALUE ${quote(effect.value)};\n-- and what uses it in a migration of its own.`,
    },
  ];
}

type Users = ReadonlyMap<number, Statement>;

const known = new WeakMap<readonly Statement[], Users>();

/** Returns the first statement that uses each value of this migration, by the index of the statement that adds the value. */
function usersOf({ tag, statements }: Checked["migration"]): Users {
  const before = known.get(statements);
  if (before !== undefined) return before;
  const found = new Map<number, Statement>();
  for (const statement of statements) {
    for (const { added, created } of statement.newValues ?? []) {
      if (added.tag !== tag || created?.tag === tag || found.has(added.index)) continue;
      found.set(added.index, statement);
    }
  }
  known.set(statements, found);
  return found;
}

function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
