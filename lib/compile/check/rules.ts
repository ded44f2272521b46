import type { Rule } from "./rule.ts";
import { COLUMN_RULES } from "./rules/columns.ts";
import { CONSTRAINT_RULES } from "./rules/constraints.ts";
import { DATA_LOSS_RULES } from "./rules/data-loss.ts";
import { ENUM_RULES } from "./rules/enums.ts";
import { INDEX_RULES } from "./rules/indexes.ts";
import { MAINTENANCE_RULES } from "./rules/maintenance.ts";
import { NAME_RULES } from "./rules/names.ts";
import { RENAME_RULES } from "./rules/renames.ts";
import { TRANSACTION_RULES } from "./rules/transactions.ts";
import { TYPE_RULES } from "./rules/types.ts";

/** All rules of `check`, in the order in which they are tried. */
export const RULES: readonly Rule[] = [
  ...INDEX_RULES,
  ...CONSTRAINT_RULES,
  ...COLUMN_RULES,
  ...DATA_LOSS_RULES,
  ...RENAME_RULES,
  ...ENUM_RULES,
  ...TRANSACTION_RULES,
  ...MAINTENANCE_RULES,
  ...TYPE_RULES,
  ...NAME_RULES,
];
