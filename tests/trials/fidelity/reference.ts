import type { Bundle, Layout, Migration } from "../../../lib/bundle/bundle.ts";
import { postgresFacts } from "../../../lib/postgres/errors.ts";
import { migrateByDrizzle0, migrateByDrizzle1 } from "./drizzle.ts";
import { createLedger, replay } from "./replay.ts";
import { withSession } from "./session.ts";

/** How a list of migrations has to be applied where Drizzle's own migrator is followed as far as it goes. */
export interface Method {
  /** Whether Drizzle takes all of them in its one transaction. */
  readonly together: boolean;
  /** Tags that Drizzle cannot apply, or would pass over, even one at a time: replayed statement by statement. */
  readonly replayed: ReadonlySet<string>;
}

/** Which migration the server refused, and why. */
export interface Refusal {
  readonly tag: string;
  readonly sqlstate: string;
  readonly message: string;
}

/** What the reference came to. */
export interface Reference {
  readonly method: Method;
  readonly refusal: Refusal | null;
  readonly durationMs: number;
}

/** The database that the reference works on. */
export interface Place {
  readonly url: string;
  /** Makes it what it was before the reference began. */
  restart(): Promise<void>;
}

/**
 * Applies migrations as Drizzle's own migrator does: all in one transaction; where that fails, one at a
 * time; and where that fails for one of them, that one is replayed.
 */
export async function applyReference(
  place: Place,
  bundle: Bundle,
  migrations: readonly Migration[],
  known: Method | null = null,
): Promise<Reference> {
  const replayed = new Set(known?.replayed);
  const together = known?.together ?? true;
  if (together && !(await passesOver(place.url, bundle.layout, migrations))) {
    const started = performance.now();
    const failure = await byDrizzle(place.url, bundle.layout, migrations);
    const durationMs = performance.now() - started;
    if (failure === null) return { method: { together, replayed }, refusal: null, durationMs };
    await place.restart();
  }
  for (;;) {
    const started = performance.now();
    const outcome = await oneByOne(place.url, bundle, migrations, replayed);
    const durationMs = performance.now() - started;
    if (outcome !== "again") {
      return { method: { together: false, replayed }, refusal: outcome, durationMs };
    }
    await place.restart();
  }
}

/** @param replayed grows; `again`: what Drizzle left of a migration is in the way of replaying it */
async function oneByOne(
  url: string,
  { layout }: Bundle,
  migrations: readonly Migration[],
  replayed: Set<string>,
): Promise<Refusal | null | "again"> {
  await withSession(url, (session) => createLedger(session, layout));
  let newest = await newestRow(url);
  for (const migration of migrations) {
    const { tag, when } = migration;
    const passedOver = layout === "0.x" && when <= newest;
    newest = Math.max(newest, when);
    const byItself = !passedOver && !replayed.has(tag);
    if (byItself && (await byDrizzle(url, layout, [migration])) === null) continue;
    replayed.add(tag);
    if (byItself && endsTransactions(migration)) return "again";
    const failure = await attempted(() =>
      withSession(url, (session) => replay(session, migration, layout)),
    );
    if (failure !== null) return refusalOf(tag, failure.thrown);
  }
  return null;
}

function endsTransactions({ statements }: Migration): boolean {
  return statements.some(({ kind }) => kind === "TransactionStmt");
}

/** Drizzle 0.x leaves out, without a word, what is no newer than the newest row that it finds at the start. */
async function passesOver(
  url: string,
  layout: Layout,
  migrations: readonly Migration[],
): Promise<boolean> {
  if (layout === "1.0") return false;
  await withSession(url, (session) => createLedger(session, layout));
  const newest = await newestRow(url);
  return migrations.some(({ when }) => when <= newest);
}

async function newestRow(url: string): Promise<number> {
  const [row] = await withSession(url, (session) =>
    session.sql(
      "select coalesce(max(created_at), -1)::float8 as newest from drizzle.__drizzle_migrations",
    ),
  );
  return Number(row?.newest);
}

/** Drizzle's own migrator of the folder's version, given these migrations as `readMigrationFiles` would. */
async function byDrizzle(
  url: string,
  layout: Layout,
  migrations: readonly Migration[],
): Promise<{ readonly thrown: unknown } | null> {
  const migrate = layout === "1.0" ? migrateByDrizzle1 : migrateByDrizzle0;
  return await attempted(() => withSession(url, ({ client }) => migrate(client, migrations)));
}

async function attempted(work: () => Promise<void>): Promise<{ readonly thrown: unknown } | null> {
  try {
    await work();
    return null;
  } catch (thrown) {
    return { thrown };
  }
}

function refusalOf(tag: string, thrown: unknown): Refusal {
  const server = postgresFacts(thrown);
  if (server === null) throw thrown;
  return { tag, sqlstate: server.sqlstate, message: server.message };
}
