import { describe, expect, vi } from "vitest";
import { connect } from "../../../lib/connection/connect.ts";
import { disconnectsUnwatched } from "../../../lib/connection/opening.ts";
import { acquireLock, lockQuestion } from "../../../lib/ledger/lock.ts";
import { silentLog } from "../../../lib/log.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import { stopDate } from "../../setup/clock.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

/** Longer than any test takes. */
const LONG_MS = 600_000;

const open = (target: Target, requestId: string, opening: Record<string, string> = {}) =>
  connect(target, { requestId, deadline: Date.now() + LONG_MS, log: silentLog, opening });

/** Waits until the server is busy with a statement like this. */
async function untilActive(database: TestDatabase, statement: string): Promise<void> {
  await waitFor(async () => {
    const rows = await database.sql(
      "select from pg_stat_activity where state = 'active' and query like $1 and pid <> pg_backend_pid() and datname = current_database()",
      [`%${statement}%`],
    );
    return rows.length > 0;
  });
}

describe("the lock", () => {
  test("is taken from a run of ours that gives no sign of life, with a warning that names it", async ({
    target,
  }) => {
    const dead = await open(target, "dead", { lock: lockQuestion(DEFAULT_LEDGER) });
    const living = await open(target, "living");

    const warnings = await acquireLock(living, DEFAULT_LEDGER, {
      timeoutMs: LONG_MS,
      deadline: Date.now() + 2 * LONG_MS,
      log: silentLog,
      abandonedAfterMs: 200,
    });

    expect(warnings.map(({ code }) => code)).toEqual(["ABANDONED_SESSION_ENDED"]);
    expect(warnings[0]?.message).toContain(`neon-migrate/dead (pid ${dead.backendPid}`);
    expect(warnings[0]?.message).toMatch(/ for \d+ s/);
    await dead.close();
    await living.close();
  });

  test("is not taken from a stranger, however idle", async ({ database, target }) => {
    const stranger = await database.hold(lockQuestion(DEFAULT_LEDGER));
    const living = await open(target, "living");
    const asked = vi.spyOn(living, "query");
    const pass = stopDate();

    const waiting = acquireLock(living, DEFAULT_LEDGER, {
      timeoutMs: LONG_MS,
      deadline: Date.now() + 2 * LONG_MS,
      log: silentLog,
      abandonedAfterMs: 200,
    });
    waiting.catch(() => undefined);
    // Who holds the lock is looked at after some tries, and once more at the end.
    await waitFor(() => asked.mock.calls.some(([text]) => text.includes("pg_stat_activity")));
    pass(LONG_MS);

    await expect(waiting).rejects.toMatchObject({ code: "LOCKED" });
    const texts = asked.mock.calls.map(([text]) => text);
    expect(texts.filter((text) => text.includes("pg_terminate_backend"))).toEqual([]);
    await stranger.release();
    await living.close();
  });

  test("ends with its session, also when nobody says goodbye while a statement runs", async ({
    database,
    target,
  }) => {
    const dead = await open(target, "dead", { lock: lockQuestion(DEFAULT_LEDGER) });
    const sleeping = dead.query("select pg_sleep(3600)").catch(() => undefined);
    await untilActive(database, "pg_sleep(3600)");

    dead.abort();
    const living = await open(target, "living");
    const warnings = await acquireLock(living, DEFAULT_LEDGER, {
      timeoutMs: 120_000,
      deadline: Date.now() + LONG_MS,
      log: silentLog,
    });

    expect(warnings).toEqual([]);
    await sleeping;
    await dead.close();
    await living.close();
  });

  test("comes with a warning where the server cannot be told to look for dead runners", () => {
    const greeting = { pid: 1, name: "db", role: "app", version: "18", readOnly: false };

    const warnings = disconnectsUnwatched({ ...greeting, checkInterval: "1min" });

    expect(warnings.map(({ code }) => code)).toEqual(["DISCONNECTS_UNWATCHED"]);
    expect(warnings[0]?.message).toContain("is 1min");
  });

  test("comes without one on a server that looks every minute, as Neon's does, until it is told", async ({
    database,
    target,
  }) => {
    const { name } = database.owner;
    await database.sql(`alter role ${name} set client_connection_check_interval = '60s'`);

    const connection = await open(target, "watched");
    const [row] = await connection.query("show client_connection_check_interval");
    await connection.close();

    expect(connection.warnings).toEqual([]);
    expect(row).toEqual({ client_connection_check_interval: "1s" });
  });
});

describe("LOCKED", () => {
  const waitBriefly = async (target: Target): Promise<unknown> => {
    const living = await open(target, "living");
    try {
      await acquireLock(living, DEFAULT_LEDGER, {
        timeoutMs: 100,
        deadline: Date.now() + LONG_MS,
        log: silentLog,
      });
      return null;
    } catch (thrown) {
      return thrown;
    } finally {
      await living.close();
    }
  };

  test("says who holds the lock, since when, what it runs, and how to end it, which then helps", async ({
    database,
    target,
  }) => {
    const holder = await open(target, "deploy-7", { lock: lockQuestion(DEFAULT_LEDGER) });
    const running = holder.query("select pg_sleep(3600)").catch(() => undefined);
    await untilActive(database, "pg_sleep(3600)");

    const refused = await waitBriefly(target);

    expect(refused).toMatchObject({ code: "LOCKED", facts: { retryable: true } });
    const { pid, since } = await sessionOf(database, "deploy-7");
    const { message } = refused instanceof Error ? refused : new Error("no error");
    expect(pid).toBe(holder.backendPid);
    expect(message).toMatch(
      new RegExp(
        `\\n- neon-migrate/deploy-7 \\(pid ${pid}, role ${database.owner.name}, connected since ${since} UTC, in a transaction for \\d+ s, active for \\d+ s, runs: select pg_sleep\\(3600\\)\\)\\n  To end it: `,
      ),
    );
    const [end = ""] = /select pg_terminate_backend\(\d+\);/.exec(message) ?? [];
    await database.sqlAsOwner(end);
    await waitFor(async () => (await waitBriefly(target)) === null);
    await running;
    await holder.close();
  });

  async function sessionOf(database: TestDatabase, requestId: string) {
    const [row] = await database.sql(
      `select pid, to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as since
       from pg_stat_activity where application_name = $1 and datname = current_database()`,
      [`neon-migrate/${requestId}`],
    );
    return { pid: row?.pid, since: row?.since };
  }

  test("names a holder of another role, of whom the server shows little", async ({
    database,
    target,
  }) => {
    const other = await database.createRole("other");
    const stranger = await connect(
      { ...target, url: database.urlOf(other) },
      {
        requestId: "stranger",
        deadline: Date.now() + LONG_MS,
        log: silentLog,
        opening: { lock: lockQuestion(DEFAULT_LEDGER) },
      },
    );

    const refused = await waitBriefly(target);
    await stranger.close();

    const message = refused instanceof Error ? refused.message : "";
    expect(message).toContain(
      `neon-migrate/stranger (pid ${stranger.backendPid}, role ${other.name}, `,
    );
    expect(message).toContain(`select pg_terminate_backend(${stranger.backendPid});`);
  });
});
