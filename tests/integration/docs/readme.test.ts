import { readFileSync } from "node:fs";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import { Pool } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { kitMigrate } from "../../setup/drizzle-kit.ts";
import {
  type WrittenMigration,
  writeJournaledFolder,
  writeNamedFolder,
} from "../../setup/folders.ts";
import { neonMigrateIn } from "../../setup/neon-migrate.ts";
import { blocksOf } from "../../setup/pages.ts";
import { makeProject } from "../../setup/project.ts";

const CONFIG = `import { defineConfig } from "drizzle-kit";
export default defineConfig({
  dialect: "postgresql",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env.DATABASE_URL ?? "" },
});
`;

const APPLIED = [
  {
    tag: "0000_customers",
    when: 1_756_000_000_000,
    sql: 'CREATE TABLE "customers" ("id" bigint PRIMARY KEY, "email" text NOT NULL);',
  },
  {
    tag: "0001_orders",
    when: 1_757_000_000_000,
    sql: 'CREATE TABLE "orders" ("id" bigint PRIMARY KEY, "customer_id" bigint NOT NULL);',
  },
];
const UNIQUE_EMAILS = {
  tag: "0002_unique_emails",
  when: 1_758_000_000_000,
  sql: `CREATE INDEX "orders_customer" ON "orders" ("customer_id");--> statement-breakpoint
ALTER TABLE "customers" ADD CONSTRAINT "customers_email_unique" UNIQUE("email");`,
};
const LATE = {
  tag: "0001_phone",
  when: 1_756_500_000_000,
  sql: 'ALTER TABLE "customers" ADD COLUMN "phone" text;',
};
const CONCURRENTLY = {
  tag: "0002_index",
  when: 1_758_000_000_000,
  sql: 'CREATE INDEX CONCURRENTLY "orders_customer" ON "orders" ("customer_id");',
};
/** The text of the page. */
const README = readFileSync("README.md", "utf8");

const TWICE = "insert into customers values (-1, 'ada@example.com'), (-2, 'ada@example.com')";

/** The end of a program, and what it has printed. */
interface Ended {
  readonly exitCode: number | null;
  readonly output: string;
  /** What drizzle-kit has said of its work. */
  readonly said?: string;
}

/** A project of which Drizzle has applied the first two migrations. */
interface Shop {
  readonly folder: string;
  readonly database: TestDatabase;
  /** Runs a command of the README. @param variables win over `.env` */
  type(command: string, variables?: Readonly<Record<string, string>>): Promise<Ended>;
}

/** Opens a shop with these migrations pending. */
async function openShop(...pending: readonly WrittenMigration[]): Promise<Shop> {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const { NEON_WS_PROXY } = await database.functionEnvironment();
  const folder = makeProject({
    "drizzle.config.ts": CONFIG,
    ".env": `DATABASE_URL=${database.url}\n`,
  });
  writeJournaledFolder(join(folder, "drizzle"), APPLIED);
  const client = new Pool({ connectionString: database.url });
  await migrate(drizzle({ client }), { migrationsFolder: join(folder, "drizzle") });
  await client.end();
  writeJournaledFolder(join(folder, "drizzle"), [...APPLIED, ...pending]);
  return {
    ...{ folder, database },
    type: async (command, variables = {}) => {
      const [program, ...words] = command.split(" ");
      if (program === "drizzle-kit") return await kitMigrate(folder, variables);
      const environment = { NEON_WS_PROXY, ...variables };
      const { exitCode, stdout, stderr } = await neonMigrateIn(folder, words, environment);
      return { exitCode, output: `${stdout}${stderr}` };
    },
  };
}

/** A command of a console block, and the lines that the page shows of what it prints. */
interface Shown {
  readonly command: string;
  readonly lines: readonly string[];
  /** What `echo $?` shows behind it. */
  readonly exitCode: number;
}

/** Returns the commands of the README's console blocks. */
function shownCommands(): readonly Shown[] {
  const blocks = blocksOf("README.md").filter(({ language }) => language === "console");
  return blocks.map(({ text }) => {
    const [first = "", ...lines] = text.split("\n").filter((line) => line.trim() !== "");
    const asked = lines.indexOf("$ echo $?");
    return {
      command: first.replace(/^\$ npx /, ""),
      lines: asked === -1 ? lines : lines.slice(0, asked),
      exitCode: asked === -1 ? 0 : Number(lines[asked + 1]),
    };
  });
}

/** Returns the lines that are not in the output, or not in this order. `…` stands for anything. */
function missingIn(output: string, lines: readonly string[]): readonly string[] {
  let rest = output;
  return lines.filter((line) => {
    const parts = line.trim().split("…").map(escaped);
    const found = new RegExp(parts.join(".*")).exec(rest);
    rest = found === null ? rest : rest.slice(found.index + found[0].length);
    return found === null;
  });
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

test("the console blocks of the README show what both programs print", async () => {
  const shop = await openShop(UNIQUE_EMAILS);
  await shop.database.sqlAsOwner(`
    insert into customers select n, 'c' || n || '@example.com' from generate_series(1, 20000) n;
    ${TWICE};
    insert into orders select n, n from generate_series(1, 200000) n;
    analyze`);
  const shown = shownCommands();

  expect(shown.map(({ command }) => command)).toEqual([
    "drizzle-kit migrate",
    "neon-migrate up",
    "neon-migrate plan",
    "neon-migrate check --since 0001_orders",
  ]);
  const ends: Ended[] = [];
  for (const { command, lines, exitCode } of shown) {
    const ended = await shop.type(command);
    ends.push(ended);
    expect({ ...ended, command, missing: missingIn(ended.output, lines) }).toMatchObject({
      ...{ command, exitCode, missing: [] },
    });
  }
  const [kit, ours] = ends;
  const row = rowOf("a statement fails");
  if (kit !== undefined) expectTrue(row.kit, kit);
  if (ours !== undefined) expectTrue(row.ours, ours);
});

/** A row of the README's table of failures. */
interface Row {
  readonly kit: string;
  readonly ours: string;
}

function rowOf(begins: string): Row {
  const line = README.split("\n").find((each) => each.startsWith(`| ${begins}`)) ?? "";
  const [, , kit = "", ours = ""] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
  return { kit, ours };
}

/** Fails unless a cell of that row is true: its exit code, its quotes, and whether there was a message. */
function expectTrue(cell: string, { exitCode, output, said = output }: Ended): void {
  const quotes = Array.from(cell.matchAll(/`([^`]+)`/g), ([, quote = ""]) => quote);
  const [, code] = /exit (\d)/.exec(cell) ?? [];

  expect({ cell, exitCode, said }).toMatchObject({ exitCode: Number(code) });
  expect(quotes.filter((quote) => !output.includes(quote))).toEqual([]);
  if (cell.includes("no message")) expect(said).toBe("");
  else expect(said).not.toBe("");
}

describe("the table of failures in the README is true where", () => {
  const kit = "drizzle-kit migrate";
  const ours = "neon-migrate up";

  test("the password is wrong", async () => {
    const row = rowOf("the password is wrong");
    const shop = await openShop(UNIQUE_EMAILS);
    const wrong = new URL(shop.database.url);
    wrong.password = "wrong";

    expectTrue(row.kit, await shop.type(kit, { DATABASE_URL: wrong.href }));
    expectTrue(row.ours, await shop.type(ours, { DATABASE_URL: wrong.href }));
  });

  test("the host is unknown", async () => {
    const row = rowOf("the host is unknown");
    const shop = await openShop(UNIQUE_EMAILS);
    // Without a network, too, this name is known to be none: its first part is too long.
    const DATABASE_URL = `postgresql://shop:secret@${"x".repeat(64)}.neon.tech/shop`;

    expectTrue(row.kit, await shop.type(kit, { DATABASE_URL }));
    expectTrue(row.ours, await shop.type(ours, { DATABASE_URL, NEON_WS_PROXY: "" }));
  });

  test("a file is older than the newest applied one", async () => {
    const row = rowOf("a file came by a merge");
    const shop = await openShop(LATE);
    const phones =
      "select from pg_attribute where attrelid = 'customers'::regclass and attname = 'phone'";

    expectTrue(row.kit, await shop.type(kit));
    expect(row.kit).toContain("not applied");
    expect(await shop.database.sql(phones)).toEqual([]);
    expectTrue(row.ours, await shop.type(ours));
    expect(await shop.database.sql(phones)).toEqual([]);
  });

  test("a file has CREATE INDEX CONCURRENTLY", async () => {
    const row = rowOf("a file has");
    const shop = await openShop(CONCURRENTLY);
    const indexes =
      "select from pg_index join pg_class on oid = indexrelid where relname = 'orders_customer' and indisvalid";

    expectTrue(row.kit, await shop.type(kit));
    expect(row.kit).toContain("not applied");
    expect(await shop.database.sql(indexes)).toEqual([]);
    expectTrue(row.ours, await shop.type(ours));
    expect(await shop.database.sql(indexes)).toHaveLength(1);
  });
});

describe("drizzle-kit 1.0.0-rc.5, of which the README says the same,", () => {
  /** Applies migrations, and then one more. @returns the end of the second run */
  async function migrateTwice(more: WrittenMigration): Promise<Ended & { database: TestDatabase }> {
    const database = await createTestDatabase();
    onTestFinished(() => database.close());
    const folder = makeProject({ "drizzle.config.ts": CONFIG }, "tests/drizzle-1/node_modules");
    const environment = { DATABASE_URL: database.url };
    writeNamedFolder(join(folder, "drizzle"), APPLIED.map(named));
    expect(await kitMigrate(folder, environment, "1.0")).toMatchObject({ exitCode: 0 });
    writeNamedFolder(join(folder, "drizzle"), [named(more)]);
    return { ...(await kitMigrate(folder, environment, "1.0")), database };
  }

  /** Gives a migration the name of a folder of the 1.0 layout, with its time. */
  function named({ tag, when, sql }: WrittenMigration): WrittenMigration {
    const time = new Date(when).toISOString().replaceAll(/\D/g, "").slice(0, 14);
    return { tag: `${time}_${tag.slice(5)}`, when, sql };
  }

  test("prints the error of a statement, also of CONCURRENTLY, which it does not apply", async () => {
    const { exitCode, output } = await migrateTwice(CONCURRENTLY);

    expect({ exitCode, output }).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining("cannot run inside a transaction block"),
    });
  });

  test("applies the older file", async () => {
    const { exitCode, output, database } = await migrateTwice(LATE);

    expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
    expect(await database.sql("select phone from customers")).toEqual([]);
  });
});
