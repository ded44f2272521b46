import type { Bundle, Migration } from "./bundle.ts";
import {
  type Checkpoint,
  checkpointDelete,
  checkpointOf,
  checkpointUpsert,
  editedStatement,
  findCheckpoint,
} from "./checkpoints.ts";
import { MigratorError } from "./errors.ts";
import { createLedgerStatements, ledgerRowInsert, type Places } from "./ledger.ts";
import { chooseHome, chooseWritePlace, type FoundLedger, type Ledger } from "./ledger-home.ts";
import { matchRows } from "./match.ts";
import type { Sending } from "./pipeline.ts";
import { quotePlace } from "./quote.ts";

/** What somebody asks to have put right in a ledger. */
export type AmendmentRequest =
  | { readonly kind: "baseline"; readonly to: string }
  | { readonly kind: "accept"; readonly tag: string }
  | { readonly kind: "resolve"; readonly tag: string; readonly as: "done" | "undone" }
  | { readonly kind: "merge-ledgers" };

/** One change to a ledger, for a person to look at before it is made. */
export interface Change {
  /** What it does, in one line. */
  readonly summary: string;
  readonly sendings: readonly Sending[];
}

/**
 * What would be written. Pure. Nothing of it touches anything but the ledger and its checkpoints.
 * @returns an empty list where everything is as it should be
 * @throws MigratorError `REQUEST_INVALID` for what cannot be done, and as `chooseHome`, `chooseWritePlace`
 */
export function proposeChanges(
  request: AmendmentRequest,
  bundle: Bundle,
  places: Places,
  role: string,
): readonly Change[] {
  if (request.kind === "merge-ledgers") return mergeLedgers(bundle, places, role);
  const ledger = chooseHome(places.homes, places.found, bundle.layout);
  switch (request.kind) {
    case "baseline":
      return baseline(bundle, ledger, role, request.to);
    case "accept":
      return accept(bundle, ledger, find(bundle, request.tag));
    case "resolve":
      return resolve(ledger, role, find(bundle, request.tag), request.as);
  }
}

/** The migrations up to and including one of them. */
export function upTo({ migrations }: Bundle, tag: string): readonly Migration[] {
  const last = find({ migrations }, tag);
  return migrations.slice(0, migrations.indexOf(last) + 1);
}

function find({ migrations }: Pick<Bundle, "migrations">, tag: string): Migration {
  const migration = migrations.find((each) => each.tag === tag);
  if (migration !== undefined) return migration;
  const tags = migrations.slice(-5).map((each) => each.tag);
  throw new MigratorError(
    "REQUEST_INVALID",
    `The folder has no migration ${JSON.stringify(tag)}. ${tags.length === 0 ? "It has none at all." : `Its last ones are ${tags.join(", ")}.`}`,
  );
}

function baseline(bundle: Bundle, ledger: Ledger, role: string, to: string): readonly Change[] {
  const wanted = upTo(bundle, to);
  const { rowOf } = matchRows(bundle, ledger.rows);
  const missing = wanted.filter((migration) => !rowOf.has(migration));
  if (missing.length === 0) return [];
  const target = chooseWritePlace(ledger, role);
  const create = createLedgerStatements(target).map((text) => ({ text }));
  const half = missing.filter(
    (migration) => findCheckpoint(ledger.checkpoints, migration) !== undefined,
  );
  return [
    ...(create.length === 0
      ? []
      : [{ summary: `create the ledger ${quotePlace(target.place)}`, sendings: create }]),
    ...missing.map((migration) => ({
      summary: `insert ${migration.tag} into ${quotePlace(target.place)} as applied`,
      sendings: [
        ledgerRowInsert(target, migration),
        ...(half.includes(migration) ? [checkpointDelete(target.place, migration)] : []),
      ],
    })),
  ];
}

function accept(bundle: Bundle, ledger: Ledger, migration: Migration): readonly Change[] {
  const { tag, hash } = migration;
  const row = matchRows(bundle, ledger.rows).rowOf.get(migration);
  const checkpoint = findCheckpoint(ledger.checkpoints, migration);
  if (row !== undefined) {
    if (row.hash === hash) return [];
    return [
      {
        summary: `update ${tag} in ${quotePlace(ledger.place)}: hash ${row.hash} becomes ${hash}`,
        sendings: [
          {
            text: `update ${quotePlace(ledger.place)} set hash = $1::text where id = $2::int`,
            values: [hash, String(row.id)],
          },
        ],
      },
    ];
  }
  if (checkpoint === undefined) {
    throw new MigratorError(
      "REQUEST_INVALID",
      `Migration ${tag} is pending, so there is nothing to accept. To count it as applied without running it: "neon-migrate baseline --to ${tag}".`,
      { migration: tag },
    );
  }
  if (editedStatement(migration, checkpoint) === null) return [];
  const { done, running, before } = checkpoint;
  refuseShorter(migration, done);
  return [
    {
      summary: `update the checkpoint of ${tag}: its first ${done} statements count as run as they are in the file now`,
      sendings: [checkpointUpsert(ledger.place, checkpointOf(migration, done, running, before))],
    },
  ];
}

function refuseShorter({ tag, statements }: Migration, done: number): void {
  if (statements.length >= done) return;
  throw new MigratorError(
    "REQUEST_INVALID",
    `${done} statements of ${tag} have run, and the file has only ${statements.length} now. Restore the statements that have run.`,
    { migration: tag },
  );
}

function resolve(
  ledger: Ledger,
  role: string,
  migration: Migration,
  as: "done" | "undone",
): readonly Change[] {
  const checkpoint = findCheckpoint(ledger.checkpoints, migration);
  const { tag, statements } = migration;
  if (checkpoint === undefined || checkpoint.running === null) {
    throw new MigratorError(
      "REQUEST_INVALID",
      `No statement of ${tag} is in doubt, so there is nothing to resolve.`,
      { migration: tag },
    );
  }
  const { running } = checkpoint;
  const done = as === "done" ? running + 1 : running;
  const summary = `update the checkpoint of ${tag}: statement ${running + 1} counts as ${as === "done" ? "run" : "not run"}`;
  if (done < statements.length) {
    const next = checkpointOf(migration, done, null);
    return [{ summary, sendings: [checkpointUpsert(ledger.place, next)] }];
  }
  const target = chooseWritePlace(ledger, role);
  return [
    {
      summary: `${summary}, and with it all of ${tag}: insert it into ${quotePlace(target.place)} as applied`,
      sendings: [ledgerRowInsert(target, migration), checkpointDelete(target.place, migration)],
    },
  ];
}

/** Where two ledgers have rows, those that only one has go to the configured place, and the other is emptied. */
function mergeLedgers(bundle: Bundle, { homes, found }: Places, role: string): readonly Change[] {
  const [into, from] = found.filter(
    ({ rows, checkpoints }) => rows.length > 0 || checkpoints.length > 0,
  );
  if (into === undefined || from === undefined) return [];
  if (from.checkpoints.length > 0) throw halfApplied(from.checkpoints[0]);
  const ledger = chooseHome(homes, [into], bundle.layout);
  const target = chooseWritePlace(ledger, role);
  const known = new Set(into.rows.map(({ when, hash }) => `${when} ${hash}`));
  const names = namesOf(bundle, from);
  const moved = from.rows.filter(({ when, hash }) => !known.has(`${when} ${hash}`));
  return [
    ...moved.map(({ id, hash, when, name }) => ({
      summary: `insert row ${id} of ${quotePlace(from.home)} into ${quotePlace(target.place)}: ${names.get(id) ?? name ?? `hash ${hash}`}`,
      sendings: [
        insertRow(target.place, target.format === "1.0", {
          hash,
          when,
          name: name ?? names.get(id) ?? null,
        }),
      ],
    })),
    {
      summary: `delete the ${from.rows.length} rows of ${quotePlace(from.home)}, which the other ledger has then`,
      sendings: [{ text: `delete from ${quotePlace(from.home)}` }],
    },
  ];
}

function namesOf(bundle: Bundle, { rows }: FoundLedger): ReadonlyMap<number, string> {
  const { rowOf } = matchRows(bundle, rows);
  return new Map(Array.from(rowOf, ([{ name }, { id }]) => [id, name]));
}

function insertRow(
  place: Ledger["place"],
  named: boolean,
  row: { readonly hash: string; readonly when: number | null; readonly name: string | null },
): Sending {
  const columns = named ? `"hash", "created_at", "name"` : `"hash", "created_at"`;
  const parameters = named
    ? "$1::text, nullif($2::text, '')::bigint, nullif($3::text, '')"
    : "$1::text, nullif($2::text, '')::bigint";
  return {
    text: `insert into ${quotePlace(place)} (${columns}) values (${parameters})`,
    values: [
      row.hash,
      row.when === null ? "" : String(row.when),
      ...(named ? [row.name ?? ""] : []),
    ],
  };
}

function halfApplied(checkpoint: Checkpoint | undefined): MigratorError {
  return new MigratorError(
    "LEDGER_SPLIT",
    `Migration ${checkpoint?.tag ?? ""} is half applied, and its checkpoint stands beside the ledger that would be emptied. Finish it first: set LEDGER_SCHEMA to that schema for one run.`,
  );
}
