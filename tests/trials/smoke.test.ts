import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type LocalAccount, startAccount } from "../../local/account/account.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { installPackage, linkPackages } from "../setup/packed.ts";
import { waitFor } from "../setup/wait-for.ts";

/** A project with its CDK, an account, and a database with tables and a ledger of its own. */
interface Place {
  readonly app: string;
  readonly database: TestDatabase;
  readonly account: LocalAccount;
  /** Runs the command with the secret of the place. */
  smoke(words: readonly string[], whileRunning?: WhileRunning): Promise<Ended>;
  /** Returns the stacks that are there, and the schemas of the database. */
  present(): Promise<{ readonly stacks: readonly string[]; readonly schemas: readonly string[] }>;
}

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Gets all that was printed so far, and a way to signal the command. */
type WhileRunning = (
  printed: () => string,
  kill: (signal: NodeJS.Signals) => void,
) => Promise<void>;

const SECRET = "shop/database-url";
/** The schemas of the project itself. */
const OWN = ["drizzle", "public"];

let scratch = "";
let installed = "";

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "smoke-"));
  installed = join(scratch, "installed");
  await mkdir(join(installed, "node_modules"), { recursive: true });
  await installPackage(join(scratch, "source"), installed);
  await linkPackages(installed, "aws-cdk", "aws-cdk-lib", "constructs");
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

/** @param variables of the account's functions, beside the way to the relay */
async function place(variables: Readonly<Record<string, string>> = {}): Promise<Place> {
  const app = await mkdtemp(join(scratch, "app-"));
  await cp(installed, app, { recursive: true, verbatimSymlinks: true });
  const database = await createTestDatabase();
  const { address } = await database.startRelay({ mode: "neon" });
  const account = await startAccount({ NEON_WS_PROXY: address, ...variables });
  account.secrets.set(SECRET, database.url);
  onTestFinished(async () => {
    await account.stop();
    await database.close();
  });
  await database.sqlAsOwner(`
    create schema drizzle;
    create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
    insert into drizzle.__drizzle_migrations (hash, created_at) values ('of the project', 1700000000000);
    create table places (id integer);
    insert into places values (7);
  `);
  const env = {
    ...{ PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: app, NO_COLOR: "1" },
    ...{ ...account.environment, NEON_WS_PROXY: address, CDK_DISABLE_CLI_TELEMETRY: "true" },
  };
  const present: Place["present"] = async () => ({
    stacks: [...account.stacks.values()]
      .filter(({ status }) => status !== "DELETE_COMPLETE")
      .map(({ name, status }) => `${name} ${status}`),
    schemas: (
      await database.sql(
        `select nspname from pg_namespace where nspname !~ '^(pg_|information_schema)' order by 1`,
      )
    ).map(({ nspname }) => String(nspname)),
  });
  const smoke: Place["smoke"] = (words, whileRunning) =>
    run(app, ["--secret", SECRET, ...words], env, whileRunning);
  return { app, database, account, smoke, present };
}

function run(
  cwd: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  whileRunning: WhileRunning = async () => undefined,
): Promise<Ended> {
  const program = join(cwd, "node_modules/.bin/neon-migrate");
  const child = spawn(process.execPath, [program, "smoke", ...words], { cwd, env });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  return new Promise((done, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => done({ exitCode, stdout, stderr }));
    const printed = () => `${stdout}${stderr}`;
    whileRunning(printed, (signal) => child.kill(signal)).catch(reject);
  });
}

const idIn = (text: string) => /Run ([0-9a-f]{8})\./.exec(text)?.[1] ?? "none";

/** Returns what a page shows of a terminal. */
async function screensOf(page: string): Promise<readonly string[]> {
  const blocks = (await readFile(page, "utf8")).matchAll(/^```text\n(.*?)^```$/gms);
  return Array.from(blocks, ([, text = ""]) => text);
}

/** Puts the names of the page into what was printed, and no times. */
function generalOf(text: string | undefined, { database }: Place): string {
  return (text ?? "")
    .replaceAll(database.owner.name, "shop_owner")
    .replaceAll(database.name, "shop")
    .replaceAll("127.0.0.1", "ep-cool-bird-123456.eu-central-1.aws.neon.tech")
    .replaceAll(/ +\d+\.\d$| +s$/gm, "")
    .trim();
}

/** Looks that nothing is left, and that the project's own tables are as they were. */
async function expectNothingLeft({ app, database, present }: Place): Promise<void> {
  expect(await present()).toEqual({ stacks: [], schemas: OWN });
  const [own] = await database.sql(`
    select (select count(*)::int from drizzle.__drizzle_migrations) as ledger,
           (select array_agg(id) from public.places) as places`);
  expect(own).toEqual({ ledger: 1, places: [7] });
  expect((await readdir(app)).filter((name) => name.startsWith("neon-migrate"))).toEqual([]);
}

describe("GIVEN an account, a secret, and the CDK of a project", () => {
  test("WHEN the smoke test runs THEN it says first what it makes, all steps are as expected, and nothing is left", async () => {
    const here = await place();

    const plan = await here.smoke([]);
    expect(plan).toMatchObject({ exitCode: 0, stderr: "" });
    await expectNothingLeft(here);
    const ended = await here.smoke(["--yes"]);

    expect(ended.exitCode).toBe(0);
    const [planned, seen] = await screensOf("docs/how-to/smoke-test.md");
    expect(generalOf(plan.stdout, here)).toBe(generalOf(planned, here));
    expect(generalOf(ended.stdout, here)).toBe(generalOf(seen, here));
    expect(ended.stdout).not.toMatch(/[–✗]/);
    const [stack] = here.account.stacks.values();
    const states = (stack?.events ?? [])
      .filter(({ type }) => type === "AWS::CloudFormation::Stack")
      .map(({ status }) => status);
    expect(states).toEqual([
      ...["CREATE_IN_PROGRESS", "CREATE_COMPLETE"],
      ...["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"],
      ...["DELETE_IN_PROGRESS", "DELETE_COMPLETE"],
    ]);
    await expectNothingLeft(here);
  });

  test("WHEN the function cannot reach the database THEN the first step says so, and nothing is left", async () => {
    const here = await place({ NEON_WS_PROXY: "127.0.0.1:1", CONNECT_TIMEOUT_MS: "1000" });

    const { exitCode, stdout } = await here.smoke(["--yes"]);

    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/✗ {2}Deploy two migrations .* ROLLBACK_COMPLETE for UNREACHABLE/);
    expect(stdout).toMatch(/– {2}Ask the database .* not done/);
    expect(stdout).toMatch(/✓ {2}Remove stack and schema/);
    expect(stdout).toContain("127.0.0.1");
    await expectNothingLeft(here);
  });

  test("WHEN CloudFormation refuses the deployment, and then the deletion THEN AWS' words are shown, and what is left, which --clean removes", async () => {
    const here = await place();
    here.account.deny("ExecuteChangeSet");
    here.account.deny("DeleteStack", { forCalls: 1 });

    const ended = await here.smoke(["--yes"]);

    const id = idIn(ended.stderr);
    expect(ended.exitCode).toBe(1);
    expect(ended.stdout).toMatch(/✗ {2}Deploy two migrations .* not deployed/);
    expect(ended.stdout).toContain("not authorized to perform: ExecuteChangeSet");
    expect(ended.stdout).toContain("not authorized to perform: DeleteStack");
    expect(ended.stdout).toContain(
      `Left: the stack NeonMigrateSmoke-${id}. Remove it: neon-migrate smoke --clean ${id} --secret ${SECRET}`,
    );
    expect(ended.stdout).toContain(
      `aws cloudformation delete-stack --stack-name NeonMigrateSmoke-${id}`,
    );
    expect((await here.present()).stacks).toHaveLength(1);

    const cleaned = await here.smoke(["--clean", id]);

    expect(cleaned).toMatchObject({ exitCode: 0 });
    await expectNothingLeft(here);
  });

  test("WHEN the command is killed in the middle THEN its first line has named the command that removes all, which may be repeated", async () => {
    const here = await place();

    const killed = await here.smoke(["--yes"], async (printed, kill) => {
      await waitFor(() => printed().includes("2/6"));
      kill("SIGKILL");
    });

    const id = idIn(killed.stderr);
    expect(killed).toMatchObject({ exitCode: null, stdout: "" });
    expect(killed.stderr).toContain(
      `Run ${id}. If it is killed: neon-migrate smoke --clean ${id} --secret ${SECRET}\n`,
    );
    expect(await here.present()).toEqual({
      stacks: [`NeonMigrateSmoke-${id} CREATE_COMPLETE`],
      schemas: [...OWN.slice(0, 1), `neon_migrate_smoke_${id}`, ...OWN.slice(1)],
    });

    const cleaned = await here.smoke(["--clean", id]);
    const again = await here.smoke(["--clean", id]);

    expect(cleaned.stdout).toMatch(/✓ {2}Remove stack and schema/);
    expect([cleaned.exitCode, again.exitCode]).toEqual([0, 0]);
    expect((await here.present()).stacks).toEqual([]);
    expect((await here.present()).schemas).toEqual(OWN);
  });

  test("WHEN somebody presses Ctrl-C THEN the step ends, the others are left out, and everything is removed", async () => {
    const here = await place();

    const ended = await here.smoke(["--yes", "--json"], async (printed, kill) => {
      await waitFor(() => printed().includes("1/6"));
      kill("SIGINT");
    });

    expect(ended.exitCode).toBe(130);
    expect(ended.stderr).toContain("SIGINT: when this step has ended, everything is removed.");
    const { status, steps, left } = JSON.parse(ended.stdout);
    expect({ status, left }).toEqual({ status: "failed", left: [] });
    expect(steps.map(({ seen }: { readonly seen: string | null }) => seen)).toEqual([
      "stack deployed, 2 migrations applied",
      ...[null, null, null, null],
      "removed",
    ]);
    await expectNothingLeft(here);
  });

  test("WHEN it is told to keep THEN stack and schema stay, with the commands that remove them", async () => {
    const here = await place();

    const { exitCode, stdout, stderr } = await here.smoke(["--yes", "--keep"]);

    const id = idIn(stderr);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Remove it: neon-migrate smoke --clean ${id} --secret ${SECRET}`);
    expect(stdout).toContain(`drop schema if exists "neon_migrate_smoke_${id}" cascade;`);
    expect((await here.present()).stacks).toEqual([
      `NeonMigrateSmoke-${id} UPDATE_ROLLBACK_COMPLETE`,
    ]);
  });
});
