import type { TestDatabase } from "./database.ts";

/** Finds a run whose transaction waits at the gate: everything was sent, its COMMIT included. */
export const ENDING = "query ilike 'set constraints%' and wait_event = 'PgSleep'";

/** Makes a table `bookings` whose rows make the end of a transaction wait at a closed gate. */
export async function makeSlowEnd(database: TestDatabase): Promise<void> {
  await database.sqlAsOwner(`
    create table gate (id int);
    create table bookings (id int);
    create function wait() returns trigger language plpgsql as
      $$ begin while not exists (select from gate) loop perform pg_sleep(0.01); end loop; return null; end $$;
    create constraint trigger slow after insert on bookings deferrable initially deferred
      for each row execute function wait();
  `);
}

/** Opens the gate. */
export async function openGate(database: TestDatabase): Promise<void> {
  await database.sqlAsOwner("insert into gate values (1)");
}
