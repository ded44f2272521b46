import { randomInt } from "node:crypto";
import { Client } from "pg";

/** A session that works with a table again and again, and finds out how long it may not. */
export interface Witness {
  /** Ends the session. @returns its longest wait, in ms, by the server's clock */
  end(): Promise<number>;
}

/** The pause between two looks, in seconds: so much of a wait may be missing. */
const PAUSE_S = 0.0002;

/**
 * Starts a session beside a run that shows what others feel of it. The server itself repeats the work, so that neither the
 * network nor a busy client stands between two looks, and each look is a transaction of its own.
 * @param url of a direct connection
 * @param work a query without its SELECT, such as `from orders limit 1`: it waits exactly while reads of the table must
 */
export async function startWitness(url: string, work: string): Promise<Witness> {
  const [holder, looker] = [new Client(url), new Client(url)];
  for (const client of [holder, looker]) {
    client.on("error", () => undefined);
    await client.connect();
  }
  const key = randomInt(1, 2 ** 40);
  await holder.query("select pg_advisory_lock($1)", [key]);
  await looker.query(`
    create procedure pg_temp.look(inout longest double precision) language plpgsql as $do$
    declare began timestamptz;
    begin
      loop
        began := clock_timestamp();
        perform ${work};
        longest := greatest(longest, extract(epoch from clock_timestamp() - began) * 1000);
        commit;
        exit when pg_try_advisory_lock(${key});
        perform pg_sleep(${PAUSE_S});
      end loop;
    end $do$`);
  const { rows } = await looker.query("select pg_backend_pid() as pid");
  const looking = looker.query<{ longest: number }>("call pg_temp.look(0)");
  await isLooking(holder, rows[0]?.pid);
  return {
    end: async () => {
      await holder.query("select pg_advisory_unlock($1)", [key]);
      const { rows: found } = await looking;
      await Promise.all([holder.end(), looker.end()]);
      return found[0]?.longest ?? Number.NaN;
    },
  };
}

async function isLooking(client: Client, pid: number): Promise<void> {
  for (;;) {
    const { rows } = await client.query(
      "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'",
      [pid],
    );
    if (rows.length > 0) return;
  }
}
