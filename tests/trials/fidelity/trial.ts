import { basename } from "node:path";
import { migrateThrough } from "../../../bench/migrate-through.ts";
import type { Bundle, Migration } from "../../../lib/bundle/bundle.ts";
import { bundleHash } from "../../../lib/bundle/hash.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { MigratorError } from "../../../lib/errors.ts";
import type { Report } from "../../../lib/report/report.ts";
import { type Facts, readCatalog, readContents } from "./catalog.ts";
import { compareFacts, type Difference, withoutChance } from "./compare.ts";
import { migrateFolder } from "./drizzle.ts";
import { applyReference, type Reference } from "./reference.ts";
import type { Server } from "./server.ts";
import { type Session, withSession } from "./session.ts";

/** One way to come to a database, and how what it left departs from what the reference left. */
export interface Way {
  readonly name: "ours" | "drizzle, then ours" | "ours, then drizzle";
  readonly differences: readonly Difference[];
}

/** What became of one folder. */
export interface FolderResult {
  readonly folder: string;
  /** `refused`: neither we nor the reference can apply it, for the same reason. */
  readonly outcome: "applied" | "refused" | "mismatch";
  /** Why it was refused, or what only one of the two could do; null where both did all. */
  readonly reason: string | null;
  readonly bundle: Bundle | null;
  readonly compileMs: number;
  readonly ours: Report | null;
  readonly reference: Reference | null;
  readonly ways: readonly Way[];
  /** How many facts were compared. */
  readonly facts: number;
}

const NOTHING = { bundle: null, ours: null, reference: null, ways: [], facts: 0 };

/** Tries one folder in every way. */
export async function tryFolder(server: Server, folder: string): Promise<FolderResult> {
  const started = performance.now();
  const compiled = await compileOrExplain(folder);
  const compileMs = performance.now() - started;
  const about = { folder: basename(folder), compileMs };
  if (compiled instanceof MigratorError) {
    const reason = `${compiled.code}: ${compiled.message}`;
    const outcome = (await drizzleTakes(server, folder)) ? "mismatch" : "refused";
    return { ...NOTHING, ...about, outcome, reason };
  }
  return { ...about, ...(await tryBundle(server, compiled)) };
}

/** Whether Drizzle applies a folder that we refuse. */
async function drizzleTakes({ url, fresh }: Server, folder: string): Promise<boolean> {
  await fresh();
  try {
    await withSession(url, ({ client }) => migrateFolder(client, folder));
    return true;
  } catch {
    return false;
  }
}

/** Compiles a folder, or returns why it cannot be. */
export async function compileOrExplain(folder: string): Promise<Bundle | MigratorError> {
  try {
    return await compileBundle(folder);
  } catch (thrown) {
    if (thrown instanceof MigratorError) return thrown;
    throw thrown;
  }
}

/** Compares our way with the reference's, and then both with a change from one to the other half way. */
export async function tryBundle(
  server: Server,
  bundle: Bundle,
): Promise<Omit<FolderResult, "folder" | "compileMs">> {
  const { url, fresh } = server;
  await fresh();
  const ours = await applyOurs(server, bundle);
  const actual = await readFacts(url);
  await fresh();
  const reference = await applyReference({ url, restart: fresh }, bundle, bundle.migrations);
  const both = { bundle, ours, reference, facts: actual.size };
  const { outcome, reason } = judge(ours, reference);
  // Drizzle makes a ledger also for nothing.
  if (outcome !== "applied" || bundle.migrations.length === 0) {
    return { ...both, ways: [], outcome, reason };
  }
  const expected = await readFacts(url);
  const ways: Way[] = [{ name: "ours", differences: compareFacts(expected, actual) }];
  if (bundle.migrations.length > 1) {
    ways.push(await halfAndHalf(server, bundle, reference, expected, "drizzle, then ours"));
    ways.push(await halfAndHalf(server, bundle, reference, expected, "ours, then drizzle"));
  }
  const left = await withoutChanceOf(server, bundle, reference, expected, ways);
  const same = left.every(({ differences }) => differences.length === 0);
  return { ...both, ways: left, outcome: same ? "applied" : "mismatch", reason: null };
}

/** Runs the reference once more, where there is something to explain: what differs then is chance. */
async function withoutChanceOf(
  { url, fresh }: Server,
  bundle: Bundle,
  { method }: Reference,
  expected: Facts,
  ways: readonly Way[],
): Promise<readonly Way[]> {
  if (ways.every(({ differences }) => differences.length === 0)) return ways;
  await fresh();
  await applyReference({ url, restart: fresh }, bundle, bundle.migrations, method);
  const chance = compareFacts(expected, await readFacts(url));
  return ways.map((way) => ({ ...way, differences: withoutChance(way.differences, chance) }));
}

async function halfAndHalf(
  server: Server,
  bundle: Bundle,
  { method }: Reference,
  expected: Facts,
  name: "drizzle, then ours" | "ours, then drizzle",
): Promise<Way> {
  const { url, fresh } = server;
  const middle = Math.floor(bundle.migrations.length / 2);
  const first = bundle.migrations.slice(0, middle);
  const rest = bundle.migrations.slice(middle);
  const byOurs = async (part: Bundle): Promise<string | null> => {
    const { error } = await applyOurs(server, part);
    return error === undefined ? null : error.message;
  };
  const byReference = async (part: readonly Migration[]): Promise<string | null> => {
    const restart = async () => {
      await fresh();
      if (part === rest) await byOurs(partOf(bundle, first));
    };
    const { refusal } = await applyReference({ url, restart }, bundle, part, method);
    return refusal === null ? null : `${refusal.tag}: ${refusal.message}`;
  };
  await fresh();
  const failure =
    name === "drizzle, then ours"
      ? ((await byReference(first)) ?? (await byOurs(bundle)))
      : ((await byOurs(partOf(bundle, first))) ?? (await byReference(rest)));
  if (failure !== null) {
    return { name, differences: [{ fact: "failure", expected: null, actual: failure }] };
  }
  return { name, differences: compareFacts(expected, await readFacts(url)) };
}

function partOf(bundle: Bundle, migrations: readonly Migration[]): Bundle {
  return { ...bundle, migrations, hash: bundleHash(migrations) };
}

/** The whole product, as in a deployment: through the relay, with lock, ledger, plan and executors. */
async function applyOurs(server: Server, bundle: Bundle): Promise<Report> {
  return await migrateThrough(server, bundle, { action: "up", outOfOrder: "apply" });
}

function judge(
  { error, atomic, cuts }: Report,
  { refusal, method }: Reference,
): Pick<FolderResult, "outcome" | "reason"> {
  // A COMMIT in a file ends Drizzle's transaction too.
  const cut = cuts.find(({ reason }) => reason !== "transaction-control");
  if (error === undefined && refusal === null && method.together && !atomic && cut !== undefined) {
    const reason = `only Drizzle in one transaction: ours is cut at statement ${cut.statement} of ${cut.migration} (${cut.reason})`;
    return { outcome: "mismatch", reason };
  }
  if (error === undefined && refusal === null) return { outcome: "applied", reason: null };
  if (refusal === null) return { outcome: "mismatch", reason: `only ours: ${error?.message}` };
  const reason = `${refusal.tag}: ${refusal.message} (${refusal.sqlstate})`;
  if (error === undefined) return { outcome: "mismatch", reason: `only the reference: ${reason}` };
  const alike = error.migration === refusal.tag && error.sqlstate === refusal.sqlstate;
  if (alike) return { outcome: "refused", reason };
  return { outcome: "mismatch", reason: `ours: ${error.message} reference: ${reason}` };
}

async function readFacts(url: string): Promise<Facts> {
  return await withSession(url, async (session) => {
    const parts = [
      await readCatalog(session),
      await readContents(session),
      await readLedger(session),
    ];
    return new Map(parts.flatMap((part) => [...part]));
  });
}

/** The ledger, row by row, in the order in which it was written; a checkpoint that is left counts, too. */
async function readLedger(session: Session): Promise<Facts> {
  const facts = new Map<string, string>();
  const [{ ledger, checkpoints } = {}] = await session.sql(
    `select to_regclass('drizzle.__drizzle_migrations') as ledger,
      to_regclass('drizzle.__drizzle_migrations_checkpoints') as checkpoints`,
  );
  const rows =
    ledger === null
      ? []
      : await session.sql(
          "select to_jsonb(r) - 'id' - 'applied_at' as row from drizzle.__drizzle_migrations r order by id",
        );
  for (const [index, { row }] of rows.entries()) {
    facts.set(`ledger row ${index + 1}`, JSON.stringify(row));
  }
  const left =
    checkpoints === null
      ? []
      : await session.sql("select tag, done from drizzle.__drizzle_migrations_checkpoints");
  for (const { tag, done } of left) facts.set(`checkpoint of ${tag}`, String(done));
  return facts;
}
