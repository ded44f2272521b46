import type { SessionObserver } from "../../../lib/connection/connection.ts";
import type { Sending } from "../../../lib/connection/pipeline.ts";
import type { Part } from "../../../lib/execute/transaction.ts";
import type { Copy } from "./lock-stage.ts";

/** PostgreSQL's table locks as `pg_locks` names them, from the weakest to the strongest. */
const MODES: readonly string[] = [
  "AccessShareLock",
  "RowShareLock",
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock",
];

/** The strongest lock on each relation that existed before, as the place of its mode among all, by oid. */
type Held = ReadonlyMap<string, number>;

/** What was seen of the locks of a run. */
export interface Seen {
  /** `tag statement relation mode`, for each lock that was stronger than any on that relation before in its transaction. */
  readonly taken: ReadonlySet<string>;
  /** The strongest lock on each relation in the whole run, by name. */
  readonly strongest: ReadonlyMap<string, string>;
  /** Statements in transactions. */
  readonly statements: number;
  /** How often the server was asked for locks. */
  readonly asked: number;
}

/** A relation as it was before the run. */
interface Known {
  readonly name: string;
  /** The oid of the table that an index is of, or that owns a sequence. */
  readonly owner: string | null;
}

const KNOWN = `
  select c.oid::text as oid, n.nspname || '.' || c.relname as name,
    coalesce(
      (select i.indrelid from pg_index i where i.indexrelid = c.oid),
      (select min(d.refobjid::text)::oid from pg_depend d
       where c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid
         and d.refclassid = 'pg_class'::regclass and d.refobjsubid <> 0 and d.deptype in ('a', 'i'))
    )::text as owner
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and not (n.nspname = 'drizzle' and c.relname ^@ '__drizzle_migrations')
    and coalesce((select t.relname !~ '^__drizzle_migrations' from pg_index i join pg_class t on t.oid = i.indrelid where i.indexrelid = c.oid), true)`;

/**
 * Everything that the own session has locked, relations of the server itself included. What a SERIALIZABLE transaction has
 * read keeps nobody waiting.
 */
const ASK = `select l.relation::pg_catalog.text, l.mode from pg_catalog.pg_locks l
  where l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid() and l.locktype operator(pg_catalog.=) 'relation'
    and l.granted and l.mode operator(pg_catalog.<>) 'SIReadLock'`;

/**
 * Watches a run as the product's observer does, and shares nothing with it: it asks for the whole of `pg_locks` behind
 * every single statement, and so knows each lock's taker without reading a text.
 */
export class LockWitness implements SessionObserver {
  readonly #known: ReadonlyMap<string, Known>;
  /** By `tag statement`; a statement that is sent again counts as it was the last time. */
  readonly #taken = new Map<string, readonly string[]>();
  readonly #held = new Map<string, Held>();
  #asked = 0;

  private constructor(known: ReadonlyMap<string, Known>) {
    this.#known = known;
  }

  /** @param copy the database before the run */
  static async of(copy: Copy): Promise<LockWitness> {
    const rows = await copy.sql(KNOWN);
    return new LockWitness(
      new Map(
        rows.map(({ oid, name, owner }) => [
          String(oid),
          { name: String(name), owner: owner === null ? null : String(owner) },
        ]),
      ),
    );
  }

  readonly observe: SessionObserver["observe"] = (series) => {
    const parts: readonly (Sending | Part)[] = series;
    let before: Held = new Map();
    return parts.flatMap((part): readonly Sending[] => {
      if (!("kind" in part) || part.kind !== "statement") return [part];
      // A SET locks nothing, and one about the transaction must not have a question between it and the next.
      if (/^\s*(?:--[^\n]*\n\s*)*set\s/i.test(part.text)) {
        this.#keep(place(part.migration.tag, part.index), before, before);
        return [part];
      }
      const onRows: NonNullable<Sending["onRows"]> = (rows) => {
        this.#asked += 1;
        const held = this.#strongest(rows);
        this.#keep(place(part.migration.tag, part.index), before, held);
        before = held;
      };
      return [part, { text: ASK, onRows }];
    });
  };

  /** What runs outside a transaction is not compared. */
  async alone(
    ...[, { migration, index }, run]: Parameters<SessionObserver["alone"]>
  ): Promise<void> {
    await run();
    this.#taken.delete(place(migration, index));
    this.#held.delete(place(migration, index));
  }

  get seen(): Seen {
    const strongest = new Map<string, number>();
    for (const [oid, mode] of [...this.#held.values()].flatMap((held) => [...held])) {
      const name = this.#known.get(oid)?.name ?? oid;
      strongest.set(name, Math.max(mode, strongest.get(name) ?? 0));
    }
    return {
      taken: new Set([...this.#taken.values()].flat()),
      strongest: new Map(Array.from(strongest, ([name, mode]) => [name, nameOf(mode)])),
      statements: this.#taken.size,
      asked: this.#asked,
    };
  }

  #strongest(rows: readonly (readonly (string | null)[])[]): Held {
    const held = new Map<string, number>();
    for (const [oid, mode] of rows) {
      const found = MODES.indexOf(mode ?? "");
      if (found < 0) throw new Error(`PostgreSQL has no table lock ${mode}.`);
      if (oid == null || !this.#known.has(oid)) continue;
      held.set(oid, Math.max(found, held.get(oid) ?? 0));
    }
    return held;
  }

  #keep(statement: string, before: Held, held: Held): void {
    this.#held.set(statement, held);
    const taken = [...held].flatMap(([oid, mode]) => {
      const { name = oid, owner = null } = this.#known.get(oid) ?? {};
      // As in the report: an index or the sequence of a column is left out where its table is locked as strongly.
      const withOwner = owner !== null && (held.get(owner) ?? -1) >= mode;
      const isNew = mode > (before.get(oid) ?? -1) && !withOwner;
      return isNew ? [`${statement} ${name} ${nameOf(mode)}`] : [];
    });
    this.#taken.set(statement, taken);
  }
}

/** A statement by its migration and its number, from 1. */
const place = (tag: string, index: number) => `${tag} ${index + 1}`;

/** `AccessExclusiveLock` is ACCESS EXCLUSIVE. */
function nameOf(mode: number): string {
  const words = MODES[mode]?.replace(/Lock$/, "").split(/(?<=[a-z])(?=[A-Z])/) ?? [];
  return words.join(" ").toUpperCase();
}
