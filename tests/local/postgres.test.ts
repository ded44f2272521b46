import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { runSql } from "../../local/postgres/admin.ts";
import {
  type LocalPostgres,
  type PostgresOptions,
  startPostgres,
} from "../../local/postgres/postgres.ts";
import { createTestDatabase } from "../setup/database.ts";
import { waitFor } from "../setup/wait-for.ts";

const running: LocalPostgres[] = [];

async function start(options: PostgresOptions = {}): Promise<LocalPostgres> {
  const postgres = await startPostgres(options);
  running.push(postgres);
  return postgres;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((postgres) => postgres.stop()));
});

describe("startPostgres", () => {
  test("starts PostgreSQL 18 with room for 200 connections", async () => {
    const postgres = await start();

    const rows = await postgres.admin.sql(
      "select current_setting('server_version_num')::int / 10000 as major, current_setting('max_connections') as room",
    );

    expect(rows).toEqual([{ major: 18, room: "200" }]);
  });

  test("runs several servers side by side, each with its own data", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    await one.admin.createDatabase("only_here");

    const found = await two.admin.sql("select from pg_database where datname = 'only_here'");

    expect(found).toEqual([]);
    expect(two.port).not.toBe(one.port);
  });

  test("leaves neither server nor data behind when it is stopped", async () => {
    const postgres = await start();
    const pid = await serverPid(postgres.directory);

    await postgres.stop();

    expect(existsSync(postgres.directory)).toBe(false);
    expect(isAlive(pid)).toBe(false);
  });

  test("leaves neither server nor data behind when its process is killed", async () => {
    const program = `
      import { startPostgres } from ${JSON.stringify(new URL("../../local/postgres/postgres.ts", import.meta.url).href)};
      startPostgres().then((postgres) => console.log(postgres.directory));
      setInterval(() => undefined, 1000);
    `;
    const child = spawn(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "--eval", program],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    onTestFinished(() => void child.kill("SIGKILL"));
    const directory = await new Promise<string>((resolve) => {
      createInterface(child.stdout).once("line", resolve);
    });
    const pid = await serverPid(directory);

    child.kill("SIGKILL");

    await waitFor(() => !existsSync(directory) && !isAlive(pid));
  });

  test("keeps port and data across a restart, and ends the sessions", async () => {
    const postgres = await start();
    await postgres.admin.sql("create table kept (id int)");
    const sleeping = runSql(postgres.url(), "select pg_sleep(3600)", []);
    const outcome = expect(sleeping).rejects.toMatchObject({ code: "57P01" });
    await waitFor(
      async () =>
        (await postgres.admin.sql("select from pg_stat_activity where query ~ '^select pg_sleep'"))
          .length === 1,
    );

    await postgres.restart();

    await outcome;
    expect(await postgres.admin.sql("select from kept")).toEqual([]);
  });

  test("shows the server's log when it does not start", async () => {
    const starting = startPostgres({ settings: { no_such_setting: "1" } });

    await expect(starting).rejects.toThrow(
      /unrecognized configuration parameter "no_such_setting"/,
    );
  });

  test("asks every role for SCRAM when told to", async () => {
    const postgres = await start({ authMethod: "scram-sha-256" });
    const role = await postgres.admin.createRole("someone");

    const rows = await runSql(postgres.url("postgres", role), "select current_user as name", []);

    expect(rows).toEqual([{ name: "someone" }]);
  });
});

describe("createTestDatabase", () => {
  test("gives a database whose owner is no superuser, and takes everything away again", async () => {
    const database = await createTestDatabase();
    const [facts] = await database.sqlAsOwner(
      "select current_database() as name, rolsuper as super from pg_roles where rolname = current_user",
    );

    await database.close();

    expect(facts).toEqual({ name: database.name, super: false });
    const left = await database.admin.sql(
      "select datname as name from pg_database where datname = $1 union all select rolname from pg_roles where rolname ^@ $1",
      [database.name],
    );
    expect(left).toEqual([]);
  });
});

async function serverPid(directory: string): Promise<number> {
  return Number((await readFile(join(directory, "data/postmaster.pid"), "utf8")).split("\n")[0]);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
