import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type WrittenMigration, writeJournaledFolder } from "./folders.ts";

/** The project of a shop, whose database is on Neon as far as a command can see. */
export interface Shop {
  /** Its folder, in which a command is run. */
  readonly folder: string;
  readonly database: TestDatabase;
  /** The setting that leads a command to the server instead of to Neon. */
  readonly environment: Readonly<Record<string, string>>;
  /** Writes the folder of its migrations, up to the one with this number. */
  writeMigrations(last: number): void;
  /** Writes the connection string into `.env`. Default: that of the database */
  nameDatabase(url?: string): void;
  /** Removes folder and database. */
  close(): Promise<void>;
}

/** Stands for a host of Neon's, of the same length: a command would not let another server answer for Neon's own. */
export const HOST = "ep-calm-river-a2x7k9q4.eu-central-1.aws.neon.test";

const CONFIG = `import { defineConfig } from "drizzle-kit";
export default defineConfig({ dialect: "postgresql", schema: "./schema.ts", out: "./drizzle" });
`;

/** The statements of each migration. The last one needs minutes. */
const MIGRATIONS: Readonly<Record<string, readonly string[]>> = {
  "0000_customers": [
    `CREATE TABLE "customers" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	"email" text NOT NULL,
	"name" text NOT NULL
);`,
  ],
  "0001_products": [
    `CREATE TABLE "products" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	"name" text NOT NULL,
	"price_cents" bigint NOT NULL
);`,
  ],
  "0002_orders": [
    `CREATE TABLE "orders" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	"customer_id" bigint NOT NULL,
	"product_id" bigint NOT NULL,
	"placed_at" timestamp with time zone DEFAULT now() NOT NULL
);`,
    `ALTER TABLE "orders" ADD CONSTRAINT "orders_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;`,
    `ALTER TABLE "orders" ADD CONSTRAINT "orders_product_id_products_id_fk" FOREIGN KEY ("product_id") REFERENCES "public"."products"("id") ON DELETE no action ON UPDATE no action;`,
  ],
  "0003_order_status": [
    `CREATE TYPE "public"."order_status" AS ENUM('open', 'paid', 'shipped');`,
    `ALTER TABLE "orders" ADD COLUMN "status" "order_status" DEFAULT 'open' NOT NULL;`,
  ],
  "0004_unique_emails": [
    `ALTER TABLE "customers" ADD CONSTRAINT "customers_email_unique" UNIQUE("email");`,
  ],
  "0005_orders_by_customer": [
    `CREATE INDEX CONCURRENTLY "orders_customer_id_index" ON "orders" USING btree ("customer_id");`,
  ],
  "0006_order_numbers": [
    `ALTER TABLE "orders" ADD COLUMN "number" bigint;`,
    `UPDATE "orders" SET "number" = (SELECT count(*) FROM "orders" AS "earlier" WHERE "earlier"."placed_at" <= "orders"."placed_at");`,
  ],
};

/** When each was made. */
const TIMES = [
  "2025-09-07T09:14Z",
  "2025-09-09T14:32Z",
  "2025-09-21T08:51Z",
  "2025-11-24T10:07Z",
  "2025-11-26T15:48Z",
  "2025-11-27T09:25Z",
  "2025-11-30T08:03Z",
];

/** Makes the shop, with an empty database and no migrations. */
export async function openShop(): Promise<Shop> {
  const database = await createTestDatabase("shop");
  const { NEON_WS_PROXY } = await database.functionEnvironment();
  const url = new URL(database.url);
  url.host = HOST;
  url.port = "";
  const folder = mkdtempSync(join(tmpdir(), "shop-"));
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "drizzle.config.ts"), CONFIG);
  const nameDatabase = (place: string) =>
    writeFileSync(join(folder, ".env"), `DATABASE_URL=${place}\n`);
  nameDatabase(url.href);
  return {
    ...{ folder, database },
    environment: { NEON_WS_PROXY },
    nameDatabase: (place = url.href) => nameDatabase(place),
    writeMigrations: (last) => {
      rmSync(join(folder, "drizzle"), { recursive: true, force: true });
      writeJournaledFolder(join(folder, "drizzle"), madeUpTo(last));
    },
    close: async () => {
      rmSync(folder, { recursive: true });
      await database.close();
    },
  };
}

/** Fills the tables of the first three migrations. One customer is there twice. */
export async function fillShop({ database }: Shop): Promise<void> {
  await database.sqlAsOwner(`
    insert into customers (email, name) select 'c' || n || '@example.com', 'Customer ' || n from generate_series(1, 20000) n;
    insert into customers (email, name) values ('ada@example.com', 'Ada'), ('ada@example.com', 'Ada L.');
    insert into products (name, price_cents) select 'Product ' || n, 100 * n from generate_series(1, 300) n;
    insert into orders (customer_id, product_id) select 1 + n % 20000, 1 + n % 300 from generate_series(1, 50000) n;
    analyze`);
}

function madeUpTo(last: number): readonly WrittenMigration[] {
  return Object.entries(MIGRATIONS)
    .slice(0, last + 1)
    .map(([tag, statements], index) => ({
      tag,
      when: Date.parse(TIMES[index] ?? ""),
      sql: statements.join("--> statement-breakpoint\n"),
    }));
}
