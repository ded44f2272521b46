import { beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_LEDGER, type Target } from "../../lib/config.ts";
import { connect } from "../../lib/connect.ts";
import { acquireLock, lockQuestion } from "../../lib/lock.ts";
import { silentLog } from "../../lib/log.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { targetOf } from "../setup/run.ts";
import { waitFor } from "../setup/wait-for.ts";

let database: TestDatabase;
let target: Target;

beforeEach(async () => {
  database = await createTestDatabase();
  const relay = await database.startRelay();
  target = targetOf(database.url, relay.address);
  return () => database.close();
});

const open = (requestId: string, opening: readonly string[] = []) =>
  connect(target, { requestId, deadline: Date.now() + 20_000, log: silentLog, opening });

describe("the lock", () => {
  test("is taken from a run of ours that gives no sign of life, with a warning that names it", async () => {
    const dead = await open("dead", [lockQuestion(DEFAULT_LEDGER)]);
    const living = await open("living");

    const warnings = await acquireLock(living, DEFAULT_LEDGER, {
      timeoutMs: 10_000,
      deadline: Date.now() + 15_000,
      log: silentLog,
      abandonedAfterMs: 200,
    });

    expect(warnings.map(({ code }) => code)).toEqual(["ABANDONED_SESSION_ENDED"]);
    expect(warnings[0]?.message).toContain(`neon-migrate/dead (pid ${dead.backendPid}`);
    expect(warnings[0]?.message).toMatch(/ for \d+ s/);
    await dead.close();
    await living.close();
  });

  test("is not taken from a stranger, however idle", async () => {
    const stranger = await database.hold(lockQuestion(DEFAULT_LEDGER));
    const living = await open("living");

    const waiting = acquireLock(living, DEFAULT_LEDGER, {
      timeoutMs: 2_500,
      deadline: Date.now() + 15_000,
      log: silentLog,
      abandonedAfterMs: 200,
    });

    await expect(waiting).rejects.toMatchObject({ code: "LOCKED" });
    await stranger.release();
    await living.close();
  });

  test("ends with its session, also when nobody says goodbye while a statement runs", async () => {
    const dead = await open("dead", [lockQuestion(DEFAULT_LEDGER)]);
    const sleeping = dead.query("select pg_sleep(60)").catch(() => undefined);
    await waitFor(async () => {
      const rows = await database.sql(
        "select from pg_stat_activity where state = 'active' and query like '%pg_sleep(60)%' and application_name = 'neon-migrate/dead' and datname = current_database()",
      );
      return rows.length > 0;
    });
    const started = Date.now();

    dead.abort();
    const living = await open("living");
    await acquireLock(living, DEFAULT_LEDGER, {
      timeoutMs: 10_000,
      deadline: Date.now() + 15_000,
      log: silentLog,
    });

    expect(Date.now() - started).toBeLessThan(3_000);
    await sleeping;
    await dead.close();
    await living.close();
  });

  test("comes with a warning where the server cannot be told to look for dead runners", async () => {
    const { name } = database.owner;
    await database.sql(`
      grant usage on schema public to ${name};
      create function public.set_config(text, text, boolean) returns text language plpgsql as
        $$ begin raise exception 'not here'; end $$;
      alter role ${name} set search_path = public, pg_catalog;
      alter role ${name} set client_connection_check_interval = '60s';
    `);

    const connection = await open("unwatched");
    const { warnings } = connection;
    await connection.close();

    expect(warnings.map(({ code }) => code)).toEqual(["DISCONNECTS_UNWATCHED"]);
    expect(warnings[0]?.message).toContain("is 1min");
  });

  test("comes without one on a server that looks every minute, as Neon's does, until it is told", async () => {
    const { name } = database.owner;
    await database.sql(`alter role ${name} set client_connection_check_interval = '60s'`);

    const connection = await open("watched");
    const [row] = await connection.query("show client_connection_check_interval");
    await connection.close();

    expect(connection.warnings).toEqual([]);
    expect(row).toEqual({ client_connection_check_interval: "1s" });
  });
});
