import { basename } from "node:path";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { bundleHash } from "../../../lib/bundle/hash.ts";
import type { SessionObserver } from "../../../lib/connection/connection.ts";
import { MigratorError } from "../../../lib/errors.ts";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { strongest } from "../../../lib/rehearsal/looks.ts";
import { Observer } from "../../../lib/rehearsal/observe.ts";
import {
  FACTS_QUESTION,
  RELATIONS_QUESTION,
  type Relations,
  readFacts,
  readRelations,
} from "../../../lib/rehearsal/relations.ts";
import { statementCosts } from "../../../lib/rehearsal/standstill.ts";
import type { Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import { DEFAULT_LEDGER } from "../../../lib/target/target.ts";
import type { Copy, LockStage } from "./lock-stage.ts";
import { LockWitness, type Seen } from "./lock-witness.ts";
import { compileOrExplain } from "./trial.ts";

/** The comparison of one folder from one point on. */
export interface LockSplit {
  /** So many migrations were there before. */
  readonly before: number;
  /** Statements in transactions, which are compared. */
  readonly statements: number;
  /** Statements outside of any, which are not. */
  readonly alone: number;
  /** The relations that were there before and were locked. */
  readonly relations: number;
  /** How often the product asked for locks. */
  readonly asked: number;
  /** What the product says and is not so. */
  readonly wrong: readonly string[];
  /** What is so and the product does not say. */
  readonly missing: readonly string[];
}

/** What became of one folder. */
export interface LockResult {
  readonly folder: string;
  readonly migrations: number;
  readonly splits: readonly LockSplit[];
  /** Why there is nothing to compare, or no more; null where all was compared. */
  readonly reason: string | null;
}

/** Makes what the product knows of a database into what its observer is told. Only a test tells it anything else. */
type Tell = (relations: Relations) => Relations;

/**
 * Compares the locks that the product's observer reports with those that a witness sees, for what comes behind each of
 * some parts of a folder.
 * @param parts of all migrations, from 0 to 1, in ascending order
 */
export async function tryLocks(
  stage: LockStage,
  folder: string,
  parts: readonly number[],
  tell: Tell = (relations) => relations,
): Promise<LockResult> {
  const bundle = await compileOrExplain(folder);
  const about = { folder: basename(folder), migrations: 0, splits: [], reason: null };
  if (bundle instanceof MigratorError) return { ...about, reason: bundle.message };
  const { length } = bundle.migrations;
  const counts = new Set(parts.map((part) => Math.max(1, Math.floor(length * part))));
  const splits: LockSplit[] = [];
  await stage.fresh();
  for (const before of counts) {
    if (before >= length) continue;
    const split = await trySplit(stage, bundle, before, tell);
    if (typeof split === "string") {
      return { ...about, migrations: length, splits, reason: split };
    }
    splits.push(split);
  }
  const reason = splits.length === 0 ? "nothing comes behind its first migration" : null;
  return { ...about, migrations: length, splits, reason };
}

/** @returns why it cannot be compared, where it cannot */
async function trySplit(
  stage: LockStage,
  bundle: Bundle,
  before: number,
  tell: Tell,
): Promise<LockSplit | string> {
  const { relay } = stage;
  const migrations = bundle.migrations.slice(0, before);
  const first = { ...bundle, migrations, hash: bundleHash(migrations) };
  const { error } = await apply({ url: stage.url, relay }, first);
  if (error !== undefined) return error.message;
  const product = await stage.copied((copy) => observed(copy, relay, bundle, tell));
  const witness = await stage.copied((copy) => witnessed(copy, relay, bundle));
  if (product instanceof MigratorError || witness instanceof MigratorError) {
    const failures = [product, witness].map((each) =>
      each instanceof MigratorError ? each.message : "applied",
    );
    if (failures[0] === failures[1]) return String(failures[0]);
    const only = { before, statements: 0, alone: 0, relations: 0, asked: 0, missing: [] };
    return { ...only, wrong: [`observed: ${failures[0]} witnessed: ${failures[1]}`] };
  }
  const rest = bundle.migrations.slice(before);
  const all = rest.reduce((sum, { statements }) => sum + statements.length, 0);
  const { statements } = witness;
  return {
    ...{ before, statements, alone: all - statements },
    relations: witness.strongest.size,
    asked: product.asked,
    wrong: [...without(product, witness)],
    missing: without(witness, product),
  };
}

/** What the one has seen and the other has not. */
function without(one: Seen, other: Seen): readonly string[] {
  return [
    ...[...one.taken].filter((each) => !other.taken.has(each)),
    ...[...one.strongest]
      .filter(([name, mode]) => other.strongest.get(name) !== mode)
      .map(([name, mode]) => `strongest: ${name} ${mode}`),
  ];
}

/** Watches a run as a rehearsal does. */
async function observed(
  copy: Copy,
  relay: string,
  bundle: Bundle,
  tell: Tell,
): Promise<Seen | MigratorError> {
  const relations = tell(readRelations(await copy.sql(RELATIONS_QUESTION), DEFAULT_LEDGER));
  const observer = new Observer(relations, readFacts(await copy.sql(FACTS_QUESTION)));
  const { error } = await apply({ url: copy.url, relay }, bundle, observer);
  if (error !== undefined) return new MigratorError(error.code, error.message);
  const transactions = observer.transactions.filter(({ samples }) => samples === null);
  const costs = statementCosts(transactions, relations);
  const moments = transactions.flatMap((each) => each.moments);
  const modes = new Map<string, Parameters<typeof strongest>[0]>();
  for (const [oid, held] of moments.flatMap(({ locks }) => [...(locks ?? [])])) {
    const name = relations.get(oid)?.name ?? oid;
    modes.set(name, [...(modes.get(name) ?? []), ...held]);
  }
  return {
    taken: new Set(
      costs.flatMap(({ migration, statement, locks }) =>
        locks.map(({ relation, mode }) => `${migration} ${statement} ${relation} ${mode}`),
      ),
    ),
    strongest: new Map(Array.from(modes, ([name, all]) => [name, String(strongest(all))])),
    statements: costs.length,
    asked: moments.filter(({ locks }) => locks !== null).length,
  };
}

async function witnessed(copy: Copy, relay: string, bundle: Bundle): Promise<Seen | MigratorError> {
  const witness = await LockWitness.of(copy);
  const { error } = await apply({ url: copy.url, relay }, bundle, witness);
  return error === undefined ? witness.seen : new MigratorError(error.code, error.message);
}

/** The whole product, as in a deployment. */
async function apply(
  { url, relay }: { readonly url: string; readonly relay: string },
  bundle: Bundle,
  observer?: SessionObserver,
): Promise<Report> {
  const request = parseRequest({ action: "up", outOfOrder: "apply", timeoutMs: 900_000 });
  return await migrate(request, {
    ...{ bundle, requestId: "locks", deadline: null, log: silentLog },
    target: () => ({
      ...{ url, relay, ledger: DEFAULT_LEDGER, connectTimeoutMs: 10_000, warnings: [] },
    }),
    ...(observer === undefined ? {} : { observer }),
  });
}
