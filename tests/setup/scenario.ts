import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { expect, inject } from "vitest";
import { runSql } from "../../local/postgres/admin.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type WrittenMigration, writeJournaledFolder } from "./folders.ts";
import { type Block, itemsOf, type Order } from "./pages.ts";
import { makeProject } from "./project.ts";
import { type ProgramEnded, runProgram } from "./run-program.ts";

/*
 * A page is a scenario: its blocks are run from its top to its end, in a project and a database of its own. Comments in the
 * page tell the test what a reader has already (`<!-- test: WORDS -->`):
 *
 *   project              first of all: a project with a drizzle.config.ts and a .env. The body holds variables for .env
 *   role NAME            a name for a role of the test's own, which the page makes; see below
 *   as NAME              DATABASE_URL of .env is from here on that of this role
 *   migration TAG        a migration of the folder `drizzle`, new or in the place of that name: the body, or the block below.
 *                        Its time in the journal is that of the number at its head, in minutes. Of another folder: FOLDER/TAG
 *   file PATH            a file of the project: the body, or the block below
 *   sql [as NAME]        runs the body, or the sql block below, in the database, as its owner or as NAME: a role, `superuser`
 *   sh [fails WORDS]     runs the body, which a reader does not see. With `fails` it must, and print these words
 *   exit CODE            the sh block below ends with this code
 *   only checked         the sh block below is not run; `tests/docs/blocks.test.ts` checks its words
 *
 * Every sh block is run. A text block shows what the sh block above it prints: each of its lines must be there, in this
 * order. `…` stands for anything, in a line and as a line.
 *
 * Tests share a server, so a page's own names do not reach it. In SQL and in what is printed `neondb` stands for the
 * database, `neondb_owner` for its owner, and the NAME of a role for that role, whose password must be `secret`.
 */

interface Scene {
  readonly folder: string;
  readonly database: TestDatabase;
  /** By their folder. */
  readonly migrations: Map<string, WrittenMigration[]>;
  /** The name of a database or a role on the server, by its name on the page. */
  readonly names: Map<string, string>;
  output: string;
}

/** What is said about the block that comes next. */
type Next = readonly string[] | null;

/** Runs a page. Fails the test at the first block that does something else than the page says. */
export async function runPage(page: string): Promise<{ readonly commands: number }> {
  const items = itemsOf(page);
  const database = await createTestDatabase();
  let commands = 0;
  try {
    const scene = sceneOf(items, database);
    let next: Next = null;
    for (const item of items) {
      if (item.kind === "order") next = await follow(item, scene);
      else {
        await runBlock(item, next, scene);
        commands += item.language === "sh" && next?.[0] !== "only" ? 1 : 0;
        next = null;
      }
    }
  } finally {
    await database.close();
  }
  return { commands };
}

const CONFIG = `import { defineConfig } from "drizzle-kit";
export default defineConfig({
  dialect: "postgresql",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env.DATABASE_URL ?? "" },
});
`;

/** The programs that a page may call by name. `npm` installs nothing: all packages are there. */
const PROGRAMS = {
  npm: '#!/bin/sh\ncase "$1" in install|uninstall|ci) exit 0;; esac\necho "npm $1 is not known here" >&2\nexit 127\n',
  npx: '#!/bin/sh\nexec "$@"\n',
  "neon-migrate": '#!/bin/sh\nexec node --liftoff-only "$NEON_MIGRATE" "$@"\n',
  "drizzle-kit": '#!/bin/sh\nexec node "$HOME/node_modules/drizzle-kit/bin.cjs" "$@"\n',
};

function sceneOf(items: readonly (Block | Order)[], database: TestDatabase): Scene {
  const project = items.find(({ kind }) => kind === "order");
  const variables = project?.kind === "order" ? project.body : "";
  const folder = makeProject({
    "package.json": JSON.stringify({ name: "shop", private: true, type: "module" }),
    "drizzle.config.ts": CONFIG,
    ".env": `DATABASE_URL=${database.url}\n${variables}`,
    ...Object.fromEntries(
      Object.entries(PROGRAMS).map(([name, text]) => [`.programs/${name}`, text]),
    ),
  });
  for (const name of Object.keys(PROGRAMS)) chmodSync(join(folder, ".programs", name), 0o755);
  const names = new Map([
    ["neondb", database.name],
    ["neondb_owner", database.owner.name],
  ]);
  return { folder, database, migrations: new Map(), names, output: "" };
}

/** @returns the order's words where it is for the block below it */
async function follow({ words, body }: Order, scene: Scene): Promise<Next> {
  const [word, name = ""] = words;
  if (word === "project") return null;
  if (word === "role") {
    scene.names.set(name, scene.database.nameRole(name));
    return null;
  }
  if (word === "as") {
    setVariable("DATABASE_URL", urlOf(name, scene), scene);
    return null;
  }
  if (body === "") return words;
  await carryOut(words, body, scene);
  return null;
}

async function runBlock(block: Block, next: Next, scene: Scene): Promise<void> {
  const place = `${block.page}:${block.line}`;
  if (block.language === "text") return expectLines(named(block.text, scene), scene.output, place);
  if (block.language === "sh") {
    if (next?.[0] === "only") return;
    const code = next?.[0] === "exit" ? Number(next[1]) : 0;
    const ended = await shell(block.text, scene);
    scene.output = ended.output;
    expect({ place, ...ended }).toEqual({ place, code, output: ended.output });
    return;
  }
  if (next !== null) await carryOut(next, block.text, scene);
}

async function carryOut(words: readonly string[], text: string, scene: Scene): Promise<void> {
  const [word, name = ""] = words;
  if (word === "migration") {
    writeMigration(name, text, scene);
  } else if (word === "file") {
    const path = join(scene.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } else if (word === "sql") {
    const as = words[2] ?? "neondb_owner";
    const sql = named(text, scene);
    await (as === "superuser" ? scene.database.sql(sql) : runSql(urlOf(as, scene), sql, []));
  } else if (word === "sh") {
    const ended = await shell(text, scene);
    const reason = words.slice(2).join(" ");
    expect({ text, ...ended, failed: ended.code !== 0 }).toMatchObject({
      failed: name === "fails",
      output: expect.stringContaining(reason),
    });
  } else throw new Error(`No order for a scenario: ${words.join(" ")}`);
}

function writeMigration(name: string, sql: string, { folder, migrations }: Scene): void {
  const tag = basename(name);
  const home = name === tag ? "drizzle" : dirname(name);
  const those = migrations.get(home) ?? [];
  migrations.set(home, those);
  const made = { tag, sql, when: 1_700_000_000_000 + Number.parseInt(tag, 10) * 60_000 };
  const index = those.findIndex((each) => each.tag === tag);
  those.splice(index === -1 ? those.length : index, 1, made);
  writeJournaledFolder(join(folder, home), those);
}

/** Puts the names of this test in the place of those of the page. */
function named(text: string, { names }: Scene): string {
  return text.replaceAll(/\w+/g, (word) => names.get(word) ?? word);
}

function urlOf(name: string, { database, names }: Scene): string {
  if (name === "neondb_owner") return database.url;
  const role = names.get(name);
  if (role === undefined) throw new Error(`No role of the page: ${name}`);
  return database.urlOf({ name: role, password: "secret" });
}

function setVariable(name: string, value: string, { folder }: Scene): void {
  const file = join(folder, ".env");
  const others = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => !line.startsWith(`${name}=`));
  writeFileSync(file, [`${name}=${value}`, ...others].join("\n"));
}

function shell(text: string, { folder }: Scene): Promise<ProgramEnded> {
  const programs = [join(folder, ".programs"), dirname(process.execPath), process.env.PATH];
  return runProgram("sh", ["-ec", text], {
    cwd: folder,
    env: {
      PATH: programs.join(delimiter),
      HOME: folder,
      NO_COLOR: "1",
      NEON_MIGRATE: resolve(inject("cliProgram")),
    },
  });
}

/** Fails the test unless each line is in the output, in this order. */
function expectLines(shown: string, output: string, place: string): void {
  const lines = shown.split("\n").filter((line) => !/^\s*…?$/.test(line));
  let rest = output;
  for (const line of lines) {
    const pattern = line.trim().split("…").map(escaped).join(".*");
    const found = new RegExp(pattern).exec(rest);
    if (found === null) expect.fail(`${place}: this is not printed: ${line}\n${output}`);
    rest = rest.slice(found.index + found[0].length);
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
