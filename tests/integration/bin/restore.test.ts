import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type WrittenMigration, writeJournaledFolder } from "../../setup/folders.ts";
import { useNeon } from "../../setup/neon.ts";
import { type Ended, neonMigrateIn } from "../../setup/neon-migrate.ts";

const scene = useNeon();

let project: string;

const MIGRATIONS: readonly WrittenMigration[] = [
  { tag: "0000_orders", when: 1, sql: "create table orders as select 1 as id, 'good' as note" },
  { tag: "0001_notes", when: 2, sql: "update orders set note = 'bad'" },
];

function restore(...words: string[]): Promise<Ended> {
  return cli("restore", ...words);
}

function cli(...words: string[]): Promise<Ended> {
  return neonMigrateIn(project, words, {
    ...scene.neon.environment,
    DATABASE_URL: scene.neon.productionUrl,
    NEON_WS_PROXY: scene.relay.address,
  });
}

/** The texts that no output may have. */
function secrets(): readonly string[] {
  return [scene.neon.apiKey, new URL(scene.neon.productionUrl).password];
}

const notes = (branch: string) => scene.neon.branch(branch).sql("select note from orders");

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "restore-"));
  for (const count of [1, 2]) {
    writeJournaledFolder(join(project, "drizzle"), MIGRATIONS.slice(0, count));
    const { exitCode, stderr } = await cli("up");
    expect([exitCode, stderr]).toEqual([0, expect.anything()]);
  }
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe("neon-migrate restore", () => {
  test("makes a branch and says how to connect, without the password", async () => {
    const { exitCode, stdout, stderr } = await restore("--before", "0001_notes");

    expect([exitCode, stderr.includes("✗")]).toEqual([0, false]);
    const [, name = ""] = /new branch (before-0001_notes-\w+)/.exec(stdout) ?? [];
    const { host } = scene.neon.branch(name);
    expect(stdout).toContain("which applied 0001_notes: ");
    expect(stdout).toContain("main was not touched.");
    expect(stdout).toContain(`Connect to postgres://neondb_owner@${host}/neondb`);
    expect(await notes(name)).toEqual([{ note: "good" }]);
    expect(await notes("main")).toEqual([{ note: "bad" }]);
    for (const secret of secrets()) expect(stdout + stderr).not.toContain(secret);
  });

  test("shows what going back means, and goes back when it is told to, with the status behind it", async () => {
    const shown = await restore("--before", "0001_notes", "--in-place");

    expect(shown.exitCode).toBe(0);
    expect(shown.stdout).toContain("since moves to a new branch, before-restore-of-main-…");
    expect(shown.stdout).toContain("Neon keeps the last 6 hours of this project.");
    expect(shown.stdout).toContain("Nothing was changed. Repeat with --yes to do it.");
    expect(await notes("main")).toEqual([{ note: "bad" }]);

    const done = await restore("--before", "0001_notes", "--in-place", "--yes");

    expect(done.exitCode).toBe(0);
    // Before the act, not behind it.
    expect(done.stderr).toMatch(
      /main goes back \d+ (second|minute)s?.* since moves to a new branch, before-restore-of-main-….* the last 6 hours [\s\S]*Neon restores main/,
    );
    const [, kept = ""] = /is in the branch (before-restore-of-main-\w+)\./.exec(done.stdout) ?? [];
    expect(done.stdout).toMatch(/✓ +0000_orders .* applied/);
    expect(done.stdout).toMatch(/· +0001_notes .* pending/);
    expect(await notes("main")).toEqual([{ note: "good" }]);
    expect(await notes(kept)).toEqual([{ note: "bad" }]);
    for (const secret of secrets()) expect(done.stdout + done.stderr).not.toContain(secret);
  });

  test("answers with JSON, and with the code of a refusal", async () => {
    const { exitCode, stdout } = await restore("--before", "0007_never", "--json");

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "RESTORE_POINT_UNKNOWN" } });
  });

  test("restores though the folder cannot be read, and says so where the status would be", async () => {
    writeFileSync(join(project, "drizzle", "0001_notes.sql"), "update orders set set");
    const before = (await scene.neon.branch("main").head()).time.toISOString();

    const { exitCode, stdout } = await restore("--before", before, "--in-place", "--yes", "--json");

    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ kind: "restored", production: { name: "main" } },
      status: { status: "failed", error: { code: "SQL_INVALID" } },
    });
  });

  test("wants to know what goes back", async () => {
    expect((await restore()).exitCode).toBe(2);
    expect((await restore("--before", "x", "--yes")).stderr).toContain(
      "--yes belongs to --in-place",
    );
    const hours = await restore("--before", "x", "--expires-in-hours", "721");
    expect(hours.stderr).toContain("Allowed: a whole number from 1 to 720");
  });
});
