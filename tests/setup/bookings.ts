import type { TestDatabase } from "./database.ts";
import type { AuthoredMigration } from "./deployment.ts";
import { untilQueued } from "./scene.ts";
import { waitFor } from "./wait-for.ts";

export const accounts: AuthoredMigration = {
  tag: "0000_accounts",
  when: 1_000,
  statements: [
    "create table accounts (id int, balance int not null)",
    "insert into accounts values (1, 100)",
  ],
};

/** A migration whose second application shows, in both statements. */
export const booking: AuthoredMigration = {
  tag: "0001_booking",
  when: 2_000,
  statements: [
    "update accounts set balance = balance + 1 where id = 1",
    "insert into accounts values (2, 0)",
  ],
};

/** A migration that stays in its second statement until the gate is open. */
export const slow: AuthoredMigration = {
  tag: "0002_slow",
  when: 3_000,
  statements: [
    "update accounts set balance = balance + 10 where id = 1",
    "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.02); end loop; end $$",
  ],
};

/** A migration that fails in its second statement. */
export const broken: AuthoredMigration = {
  tag: "0002_broken",
  when: 3_000,
  statements: [
    "update accounts set balance = balance + 10 where id = 1",
    "insert into accounts values (3, null)",
  ],
};

/** The state of the database after no migration, after `booking`, and after `slow`, each applied once. */
export const WRITTEN = {
  nothing: { accounts: [], ledger: [] },
  upToBooking: { accounts: ["1: 101", "2: 0"], ledger: [1_000, 2_000] },
  upToSlow: { accounts: ["1: 111", "2: 0"], ledger: [1_000, 2_000, 3_000] },
} as const;

/** Reads everything that runs have written. */
export async function written(database: TestDatabase): Promise<object> {
  return {
    accounts: await column(database, "accounts", "id || ': ' || balance"),
    ledger: await column(database, "drizzle.__drizzle_migrations", "created_at::int"),
  };
}

async function column(
  database: TestDatabase,
  table: string,
  expression: string,
): Promise<readonly unknown[]> {
  const [found] = await database.sql("select to_regclass($1) is not null as there", [table]);
  if (found?.there !== true) return [];
  const rows = await database.sql(`select ${expression} as value from ${table} order by 1`);
  return rows.map(({ value }) => value);
}

/** The gate that holds `slow` until a test opens it. */
export interface Gate {
  /** Waits until a run stands at the gate on another backend than `before`. Returns its backend. */
  reached(before?: unknown): Promise<unknown>;
  /** Waits until another run waits for the migration lock: it has asked in vain, and asks again and again. */
  queued(): Promise<void>;
  /** Whether a backend holds the migration lock. */
  locked(backend: unknown): Promise<boolean>;
  /** Whether a run stands at the gate right now. */
  busy(): Promise<boolean>;
  open(): Promise<void>;
}

/** Puts a closed gate into the database. */
export async function closeGate(database: TestDatabase): Promise<Gate> {
  await database.sqlAsOwner("create table gate (id int)");
  const backends = async (condition: string): Promise<readonly unknown[]> => {
    const rows = await database.sql(
      `select pid from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate/%' and ${condition}`,
    );
    return rows.map(({ pid }) => pid);
  };
  const standing = () => backends("state = 'active' and query like '%from gate%'");
  return {
    reached: async (before) => {
      let pid: unknown;
      await waitFor(async () => {
        pid = (await standing()).find((each) => each !== before);
        return pid !== undefined;
      });
      return pid;
    },
    queued: () => untilQueued(database),
    locked: async (backend) => {
      const rows = await database.sql(
        "select from pg_locks where locktype = 'advisory' and granted and pid = $1",
        [backend],
      );
      return rows.length > 0;
    },
    busy: async () => (await standing()).length > 0,
    open: async () => {
      await database.sqlAsOwner("insert into gate values (1)");
    },
  };
}
