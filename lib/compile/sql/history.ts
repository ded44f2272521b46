import type { Migration } from "../../bundle/bundle.ts";
import type { ObjectName } from "../../postgres/names.ts";
import type { ColumnType } from "../../postgres/types.ts";
import { loadParser, parseTree } from "./parser.ts";
import { type EnumRecord, REPLAY, REPLAYED_KINDS } from "./replay.ts";
import { find, findByIndex, Tables, TEMPORARY } from "./table-records.ts";
import { keyOf, type Node, record } from "./tree.ts";

/*
 * The one replay of a series of migrations. Parse trees come in, in the order in which the statements are applied.
 * Answers about tables, columns, indexes, enums and schemas go out. The replay connects to nothing, and does not see the
 * effects of a DO block or a function.
 */

/** A table that exists once these migrations are applied, and the migration that gives it its name. */
export interface MadeTable {
  readonly table: ObjectName;
  readonly tag: string;
}

/**
 * Returns the tables that a series of migrations leaves behind, without temporary tables and materialized views.
 * Partitions are left out, too: they come and go with their data, and their parent stands for them.
 */
export async function tablesMadeBy(
  migrations: readonly Migration[],
): Promise<readonly MadeTable[]> {
  await loadParser();
  const history = new History();
  for (const { tag, sql, statements } of migrations) {
    history.begin(tag);
    for (const { start, end, kind } of statements) {
      if (!REPLAYED_KINDS.includes(kind)) continue;
      history.replay(kind, record(parseTree(sql.slice(start, end))[kind]));
    }
  }
  return history.tables();
}

/** The effects of migrations up to a statement. */
export class History {
  readonly #tables = new Tables();
  readonly #enums = new Map<string, EnumRecord>();
  readonly #schemas = new Map<string, string>();
  #tag = "";

  /** Begins the next migration. Temporary tables end with their file: the next one may be in another run. */
  begin(tag: string): void {
    this.#tag = tag;
    this.#tables.endSession();
  }

  /** Takes note of the effects of a statement. */
  replay(kind: string, node: Node): void {
    const [tables, enums, schemas] = [this.#tables, this.#enums, this.#schemas];
    REPLAY[kind]?.({ tables, enums, schemas, tag: this.#tag }, node);
  }

  /** Returns the tables that a migration has created and that are still there. */
  tables(): readonly MadeTable[] {
    return [...this.#tables.values()]
      .filter(({ createdIn, parent, materialized, name }) => {
        const counts = parent === null && !materialized && name.schema !== TEMPORARY;
        return createdIn !== null && counts;
      })
      .map(({ name, namedIn }) => ({ table: name, tag: namedIn }));
  }

  /** Returns the tag of the migration that creates a table or materialized view; null where no migration does. */
  createdIn(table: ObjectName): string | null {
    return find(this.#tables, table)?.createdIn ?? null;
  }

  /** Whether a migration creates a table as a partitioned one. */
  isPartitioned(table: ObjectName): boolean {
    return find(this.#tables, table)?.partitioned === true;
  }

  /** Returns the tag of the migration that creates a schema; null where no migration does. */
  schemaCreatedIn(schema: string): string | null {
    return this.#schemas.get(schema) ?? null;
  }

  /** Returns the tag of the migration that adds a column; null where it is not known. */
  columnAddedIn(table: ObjectName, column: string): string | null {
    return find(this.#tables, table)?.columns.get(column)?.addedIn ?? null;
  }

  columnType(table: ObjectName, column: string): ColumnType | null {
    return find(this.#tables, table)?.columns.get(column)?.type ?? null;
  }

  /** Returns the types of a table's columns; null where migrations do not show all of them. */
  columnTypes(table: ObjectName): readonly ColumnType[] | null {
    const { createdIn = null, columns = new Map() } = find(this.#tables, table) ?? {};
    if (createdIn === null || columns.size === 0) return null;
    return [...columns.values()].map(({ type }) => type);
  }

  /** Whether a validated CHECK proves that a column has no nulls. */
  provesNotNull(table: ObjectName, column: string): boolean {
    const proofs = find(this.#tables, table)?.proofs.values() ?? [];
    return [...proofs].some(({ columns, validated }) => validated && columns.includes(column));
  }

  /** Returns the table of an index; null where no migration creates the index. */
  tableOfIndex(index: ObjectName): ObjectName | null {
    return findByIndex(this.#tables, index)?.name ?? null;
  }

  /** Returns the values of an enum that this migration has dropped or renamed; null for any other enum. */
  enumGoneIn(tag: string, type: ObjectName): readonly string[] | null {
    const found = this.#enums.get(keyOf(type));
    return found !== undefined && found.goneIn === tag ? found.values : null;
  }
}
