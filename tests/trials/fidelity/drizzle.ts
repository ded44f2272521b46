import { createRequire } from "node:module";
import type { MigrationMeta } from "drizzle-orm/migrator";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import type { Client } from "pg";
import { chunksOf, type Migration } from "../../../lib/bundle/bundle.ts";

/** What `migrate()` of drizzle-orm 0.45 calls; its types keep it to Drizzle's own modules. */
interface Drizzle0 {
  readonly dialect: {
    migrate(metas: readonly MigrationMeta[], session: unknown, config: object): Promise<void>;
  };
  readonly session: unknown;
}

/** Applies migrations by the migrator of drizzle-orm 0.45, unmodified. */
export async function migrateByDrizzle0(
  client: Client,
  migrations: readonly Migration[],
): Promise<void> {
  const { dialect, session } = drizzle(client) as unknown as Drizzle0;
  await dialect.migrate(migrations.map(toMeta), session, { migrationsFolder: "" });
}

/** Applies a folder as a team does, by `migrate()` of drizzle-orm 0.45. */
export async function migrateFolder(client: Client, folder: string): Promise<void> {
  await migrate(drizzle(client), { migrationsFolder: folder });
}

/** What `migrate()` of drizzle-orm 1.0.0-rc.5 calls. */
interface Drizzle1 {
  drizzle(config: { readonly client: Client }): unknown;
  migrate(metas: readonly MigrationMeta[], db: unknown, config: object): Promise<unknown>;
}

/** Applies migrations by the migrator of drizzle-orm 1.0, unmodified. */
export async function migrateByDrizzle1(
  client: Client,
  migrations: readonly Migration[],
): Promise<void> {
  const { drizzle: open, migrate: apply } = loadDrizzle1();
  const metas = migrations.map((each) => ({ ...toMeta(each), name: each.tag }));
  await apply(metas, open({ client }), { migrationsFolder: "" });
}

/** Installed in a place of its own, because both versions have the same name. */
function loadDrizzle1(): Drizzle1 {
  const load = createRequire(new URL("../../drizzle-1/package.json", import.meta.url));
  return { ...load("drizzle-orm/node-postgres"), ...load("drizzle-orm/pg-core/async/session") };
}

function toMeta(migration: Migration): MigrationMeta {
  const { when, hash } = migration;
  return { sql: [...chunksOf(migration)], folderMillis: when, hash, bps: true };
}
