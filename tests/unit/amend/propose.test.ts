import { describe, expect, test } from "vitest";
import type { AmendmentRequest, Proposal } from "../../../lib/amend/changes.ts";
import { proposeChanges } from "../../../lib/amend/propose.ts";
import type { Bundle, Migration } from "../../../lib/bundle/bundle.ts";
import { MigratorError } from "../../../lib/errors.ts";
import { type Checkpoint, checkpointOf } from "../../../lib/ledger/checkpoints.ts";
import type { FoundLedger, Home, LedgerRow } from "../../../lib/ledger/ledger.ts";
import type { Places } from "../../../lib/ledger/read.ts";
import { makeBundle, makeHome, makeMigration, rowOf } from "../../setup/make-migration.ts";

const first = makeMigration("0000_first", 1_000, "create table a ()");
const second = makeMigration("0001_second", 2_000, "create table b ()");
const third = makeMigration("0002_third", 3_000, "create table c ()");
const all = makeBundle(first, second, third);
const named = ["id", "hash", "created_at", "name", "applied_at"];
const absent = { tableExists: false, mayRead: false, mayInsert: false, columns: [] };

interface LedgerOf {
  readonly rows?: readonly LedgerRow[];
  readonly checkpoints?: readonly Checkpoint[];
  readonly home?: Partial<Home>;
}

function ledgerIn(schema: string, { rows = [], checkpoints = [], home }: LedgerOf): FoundLedger {
  const kept = { checkpointsExist: checkpoints.length > 0 };
  return { home: makeHome(schema, { ...kept, ...home }), rows, checkpoints };
}

/** A ledger in `drizzle`, and perhaps one in `public`. */
function places(configured: LedgerOf | null, fallback: LedgerOf | null = null): Places {
  const found = [
    ...(configured === null ? [] : [ledgerIn("drizzle", configured)]),
    ...(fallback === null ? [] : [ledgerIn("public", fallback)]),
  ];
  const homes = ["drizzle", "public"].map(
    (schema) => found.find(({ home }) => home.schema === schema)?.home ?? makeHome(schema, absent),
  );
  return { homes, found, isBlank: false, warnings: [] };
}

function propose(request: AmendmentRequest, at: Places, bundle: Bundle = all): Proposal {
  return proposeChanges(request, bundle, at, "app");
}

function refusal(request: AmendmentRequest, at: Places, bundle: Bundle = all): MigratorError {
  try {
    propose(request, at, bundle);
  } catch (thrown) {
    if (thrown instanceof MigratorError) return thrown;
  }
  throw new Error("No MigratorError was thrown.");
}

const summaries = ({ changes }: Proposal) => changes.map(({ summary }) => summary);
const values = ({ changes }: Proposal) =>
  changes.flatMap(({ sendings }) => sendings.map((sending) => sending.values ?? []));
const texts = ({ changes }: Proposal) =>
  changes.flatMap(({ sendings }) => sendings.map(({ text }) => text.trim().replace(/\s+/g, " ")));

describe("baseline", () => {
  test("creates the ledger and inserts each migration up to the tag in the folder's order", () => {
    const proposal = propose({ kind: "baseline", to: second.tag }, places(null));

    expect(summaries(proposal)).toEqual([
      'create the ledger "drizzle"."__drizzle_migrations"',
      'insert 0000_first into "drizzle"."__drizzle_migrations" as applied',
      'insert 0001_second into "drizzle"."__drizzle_migrations" as applied',
    ]);
    expect(values(proposal).filter(({ length }) => length > 0)).toEqual([
      [first.hash, "1000"],
      [second.hash, "2000"],
    ]);
    expect(proposal.ledger).toMatchObject({ schema: "drizzle", format: "0.x" });
  });

  test("inserts only what has no row, however surely the others match", () => {
    const rows = [rowOf(first, 1, { hash: "f".repeat(64) }), rowOf(third, 2)];

    const proposal = propose({ kind: "baseline", to: third.tag }, places({ rows }));

    expect(proposal.changes.map(({ migration }) => migration)).toEqual([second.tag]);
  });

  test("has nothing to write when all of it is applied", () => {
    const at = places({ rows: [rowOf(first, 1), rowOf(second, 2)] });

    expect(propose({ kind: "baseline", to: second.tag }, at).changes).toEqual([]);
  });

  test("goes to the place where a run would write: the fallback, when that has the ledger", () => {
    const at = places(null, { rows: [rowOf(first, 1)] });

    const proposal = propose({ kind: "baseline", to: second.tag }, at);

    expect(summaries(proposal)).toEqual([
      'insert 0001_second into "public"."__drizzle_migrations" as applied',
    ]);
    expect(proposal.ledger.schema).toBe("public");
  });

  test("writes names into a 1.0 ledger, as drizzle-kit up would call a migration of a 0.x folder", () => {
    const at = places({ home: { columns: named } });

    expect(values(propose({ kind: "baseline", to: first.tag }, at))).toEqual([
      [first.hash, "1000", "19700101000001_first"],
    ]);
  });

  test("creates a 1.0 ledger for a folder of the 1.0 layout", () => {
    const only: Migration = { ...first, tag: "19700101000001_first", name: "19700101000001_first" };
    const bundle: Bundle = { ...makeBundle(only), layout: "1.0" };

    const proposal = propose({ kind: "baseline", to: only.tag }, places(null), bundle);

    expect(proposal.ledger.format).toBe("1.0");
    expect(texts(proposal).join()).toContain(
      "name pg_catalog.text, applied_at timestamp with time zone",
    );
    expect(values(proposal).at(-1)).toEqual([only.hash, "1000", only.name]);
  });

  test("forgets how far a migration came that counts as applied now, and says so", () => {
    const checkpoints = [checkpointOf(second, 1, null)];

    const proposal = propose(
      { kind: "baseline", to: second.tag },
      places({ rows: [rowOf(first, 1)], checkpoints }),
    );

    expect(summaries(proposal)).toEqual([
      'insert 0001_second into "drizzle"."__drizzle_migrations" as applied, and delete its checkpoint (1 of 1 statements were done)',
    ]);
    expect(texts(proposal)[1]).toMatch(/^delete from .*_checkpoints/);
  });

  test("refuses a tag that the folder does not have, and names its last ones", () => {
    const error = refusal({ kind: "baseline", to: "0009_typo" }, places(null));

    expect(error.code).toBe("REQUEST_INVALID");
    expect(error.message).toContain('"0009_typo". Its last ones are 0000_first, 0001_second');
  });

  test("refuses two ledgers that contradict each other, and a role that may write none", () => {
    const split = places({ rows: [rowOf(first, 1)] }, { rows: [rowOf(second, 1)] });
    const shut = places({ home: { mayInsert: false } });

    expect(refusal({ kind: "baseline", to: third.tag }, split).code).toBe("LEDGER_SPLIT");
    expect(refusal({ kind: "baseline", to: third.tag }, shut).message).toContain("grant select");
  });
});

describe("accept", () => {
  const changed = { hash: "f".repeat(64) };

  test("gives the row the present hash, and shows both", () => {
    const proposal = propose(
      { kind: "accept", tag: first.tag },
      places({ rows: [rowOf(first, 7, changed)] }),
    );

    expect(summaries(proposal)).toEqual([
      `update 0000_first in "drizzle"."__drizzle_migrations": hash ${changed.hash} becomes ${first.hash}`,
    ]);
    expect(values(proposal)).toEqual([[first.hash, "{7}"]]);
  });

  test("takes along the rows that repeat it, which would be unknown otherwise", () => {
    const rows = [rowOf(first, 7, changed), rowOf(first, 8, changed), rowOf(second, 9)];

    const proposal = propose({ kind: "accept", tag: first.tag }, places({ rows }));

    expect(values(proposal)).toEqual([[first.hash, "{7,8}"]]);
  });

  test("has nothing to write where the hash is right", () => {
    const at = places({ rows: [rowOf(first, 1)] });

    expect(propose({ kind: "accept", tag: first.tag }, at).changes).toEqual([]);
  });

  test("refuses a pending migration, and says what its caller may have meant", () => {
    const error = refusal({ kind: "accept", tag: first.tag }, places(null));

    expect(error).toMatchObject({ code: "REQUEST_INVALID", facts: { migration: first.tag } });
    expect(error.message).toContain("neon-migrate baseline --to 0000_first");
  });

  test("takes the part of a half-applied migration that has run as it is in the file now", () => {
    const before = makeMigration("0000_half", 1_000, "select 1", "vacuum", "select 2");
    const after = makeMigration("0000_half", 1_000, "select 10", "vacuum", "select 20");
    const at = places({ checkpoints: [checkpointOf(before, 2, null)] });

    const proposal = propose({ kind: "accept", tag: after.tag }, at, makeBundle(after));

    expect(summaries(proposal)).toEqual([
      "update the checkpoint of 0000_half: its first 2 statements count as run as they are in the file now",
    ]);
    expect(values(proposal)[0]?.[4]).toBe(checkpointOf(after, 2, null).digests);
    expect(proposal.ledger.table).toBe("__drizzle_migrations");
  });

  test("refuses a file that is shorter than what has run", () => {
    const before = makeMigration("0000_half", 1_000, "select 1", "vacuum", "select 2");
    const after = makeMigration("0000_half", 1_000, "select 10");
    const at = places({ checkpoints: [checkpointOf(before, 2, null)] });

    const error = refusal({ kind: "accept", tag: after.tag }, at, makeBundle(after));

    expect(error.message).toContain("2 statements of 0000_half have been begun");
  });
});

describe("resolve", () => {
  const half = makeMigration("0000_half", 1_000, "call one()", "call two()", "select 3");
  const bundle = makeBundle(half);
  const doubt = (running: number) =>
    places({ checkpoints: [checkpointOf(half, running, running)] });

  test.each([
    ["done", "counts as run", "2"],
    ["undone", "counts as not run", "1"],
  ] as const)("as %s: the statement %s", (as, words, done) => {
    const proposal = propose({ kind: "resolve", tag: half.tag, as }, doubt(1), bundle);

    expect(summaries(proposal)).toEqual([
      `update the checkpoint of 0000_half: statement 2 ${words}`,
    ]);
    expect(values(proposal)[0]?.slice(3, 6)).toEqual([
      done,
      checkpointOf(half, Number(done), null).digests,
      "-1",
    ]);
  });

  test("completes the migration when its last statement has happened", () => {
    const short = makeMigration("0000_short", 1_000, "select 1", "call two()");
    const at = places({ checkpoints: [checkpointOf(short, 1, 1)] });

    const proposal = propose(
      { kind: "resolve", tag: short.tag, as: "done" },
      at,
      makeBundle(short),
    );

    expect(texts(proposal)).toEqual([
      expect.stringMatching(/^insert into "drizzle"."__drizzle_migrations" /),
      expect.stringMatching(/^delete from "drizzle"."__drizzle_migrations_checkpoints"/),
    ]);
  });

  test("refuses where nothing is in doubt, or where the database itself can tell", () => {
    const index = makeMigration("0000_half", 1_000, "create index concurrently i on a (x)");
    const building = places({ checkpoints: [checkpointOf(index, 0, 0)] });
    const calm = places({ checkpoints: [checkpointOf(half, 1, null)] });
    const request = { kind: "resolve", tag: half.tag, as: "done" } as const;

    expect(refusal(request, calm, bundle).code).toBe("REQUEST_INVALID");
    expect(refusal(request, places(null), bundle).code).toBe("REQUEST_INVALID");
    expect(refusal(request, building, makeBundle(index)).message).toContain("finds out by itself");
  });

  test("refuses to guess which statement is meant once the file was edited before it", () => {
    const edited = makeMigration("0000_half", 1_000, "call other()", "call two()", "select 3");
    const request = { kind: "resolve", tag: half.tag, as: "done" } as const;

    const error = refusal(request, doubt(1), makeBundle(edited));

    expect(error.code).toBe("MODIFIED");
    expect(error.message).toContain("In 0000_half statement 1 has run and was changed since");
  });
});

describe("merge-ledgers", () => {
  const merge = { kind: "merge-ledgers" } as const;

  test("moves what only the fallback has, in the order of its times, and deletes what it read", () => {
    const at = places(
      { rows: [rowOf(second, 1)] },
      { rows: [rowOf(third, 4), rowOf(second, 5), rowOf(first, 6)] },
    );

    const proposal = propose(merge, at);

    expect(summaries(proposal)).toEqual([
      'insert row 6 of "public"."__drizzle_migrations" into "drizzle"."__drizzle_migrations": 0000_first',
      'insert row 4 of "public"."__drizzle_migrations" into "drizzle"."__drizzle_migrations": 0002_third',
      'delete the 3 rows of "public"."__drizzle_migrations"',
    ]);
    expect(values(proposal)).toEqual([["6"], ["4"], ["{4,5,6}"]]);
    expect(proposal.ledger).toMatchObject({ schema: "drizzle" });
  });

  test("moves a row that the folder does not know, and one that is doubled only once", () => {
    const stranger = { id: 3, hash: "e".repeat(64), when: 9_000, name: null };
    const at = places(
      { rows: [rowOf(first, 1)] },
      { rows: [stranger, { ...stranger, id: 4 }, rowOf(second, 5), rowOf(second, 6)] },
    );

    const proposal = propose(merge, at);

    expect(proposal.changes.map(({ migration }) => migration)).toEqual([second.tag, null, null]);
    expect(summaries(proposal)[1]).toContain(`hash ${stranger.hash}, which the folder does not`);
    expect(values(proposal)).toEqual([["5"], ["3"], ["{3,4,5,6}"]]);
  });

  test("keeps both of two migrations that are equal but for their tags", () => {
    const twin = makeMigration("0001_twin", 1_000, "create table a ()");
    const at = places({ rows: [rowOf(first, 1)] }, { rows: [rowOf(first, 1), rowOf(twin, 2)] });

    expect(values(propose(merge, at, makeBundle(first, twin)))).toEqual([["2"], ["{1,2}"]]);
  });

  test("does not double a migration whose rows differ, and says what is left out", () => {
    const at = places(
      { rows: [rowOf(first, 1)] },
      { rows: [rowOf(first, 5, { hash: "f".repeat(64) })] },
    );

    expect(summaries(propose(merge, at))).toEqual([
      expect.stringMatching(/^leave out 0000_first, row 5 of .* with hash f+: .* with hash/),
      'delete the 1 row of "public"."__drizzle_migrations"',
    ]);
  });

  test("gives rows of a 0.x ledger their names in a 1.0 ledger, and refuses what it cannot name", () => {
    const known = { rows: [rowOf(second, 5)] };
    const stranger = { rows: [{ id: 3, hash: "e".repeat(64), when: 9_000, name: null }] };
    const into = { rows: [rowOf(first, 1, { name: first.name })], home: { columns: named } };

    const proposal = propose(merge, places(into, known));

    expect(values(proposal)[0]).toEqual(["5", second.name]);
    expect(texts(proposal)[0]).toContain("select hash, created_at, $2::pg_catalog.text, null from");
    expect(refusal(merge, places(into, stranger)).message).toContain("Drizzle 1.0 would run it");
  });

  test("takes a checkpoint along, with the table that it needs", () => {
    const checkpoint = checkpointOf(third, 1, null);
    const at = places(
      { rows: [rowOf(first, 1)] },
      { rows: [rowOf(second, 2)], checkpoints: [checkpoint] },
    );

    const proposal = propose(merge, at);

    expect(summaries(proposal).slice(1)).toEqual([
      'insert the checkpoint of 0002_third into "drizzle"."__drizzle_migrations_checkpoints": 1 statement is done',
      'delete the 1 row of "public"."__drizzle_migrations"',
      'delete the checkpoint of 0002_third in "public"."__drizzle_migrations_checkpoints"',
    ]);
    expect(texts(proposal)[1]).toMatch(/^create table "drizzle"/);
  });

  test("drops the checkpoint of what the other ledger has as applied", () => {
    const checkpoints = [checkpointOf(second, 1, null)];
    const at = places({ rows: [rowOf(first, 1)], checkpoints }, { rows: [rowOf(second, 2)] });

    expect(summaries(propose(merge, at))).toContain(
      'delete the checkpoint of 0001_second in "drizzle"."__drizzle_migrations_checkpoints": a ledger has it as applied',
    );
  });

  test("refuses two checkpoints that contradict each other", () => {
    const half = makeMigration("0000_half", 1_000, "select 1", "vacuum", "select 2");
    const at = places(
      { checkpoints: [checkpointOf(half, 1, null)] },
      { checkpoints: [checkpointOf(half, 2, null)] },
    );

    expect(refusal(merge, at, makeBundle(half))).toMatchObject({
      code: "LEDGER_SPLIT",
      facts: { migration: half.tag },
    });
  });

  test("has nothing to do where only one place has anything", () => {
    expect(propose(merge, places(null)).changes).toEqual([]);
    expect(propose(merge, places({}, { rows: [rowOf(first, 1)] }))).toMatchObject({
      changes: [],
      ledger: { schema: "public" },
    });
  });
});
