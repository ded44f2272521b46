import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { oneTransaction, slicesOf } from "../../../lib/bundle/steps.ts";
import { planMigrations } from "../../../lib/plan/plan-migrations.ts";
import { parseRequest } from "../../../lib/request.ts";
import { makeBundle, makeLedger, makeMigration, rowOf } from "../../setup/make-migration.ts";

const first = makeMigration("0000_first", 1_000, "create table a ()");
const second = makeMigration("0001_second", 2_000, "create table b ()");
const third = makeMigration("0002_third", 3_000, "create table c ()");
const policy = (fields: object = {}) => parseRequest(fields);

describe("planMigrations", () => {
  test("plans everything for an empty ledger, in one transaction, with Drizzle's own migrator", () => {
    const plan = planMigrations(makeBundle(first, second), makeLedger(), policy());

    expect(plan).toEqual({
      applied: [],
      latest: null,
      pending: [
        { migration: first, reasons: [], checkpoint: null },
        { migration: second, reasons: [], checkpoint: null },
      ],
      steps: [oneTransaction([first, second])],
      cuts: [],
      atomic: true,
      executor: "drizzle",
      executorReason: null,
      drift: { modified: [], unknown: [], outOfOrder: [] },
      warnings: [],
      refusal: null,
    });
  });

  test("has nothing to do, and needs no executor, when every migration has its row", () => {
    const ledger = makeLedger(rowOf(first, 1), rowOf(second, 2));

    const plan = planMigrations(makeBundle(first, second), ledger, policy());

    expect(plan).toMatchObject({ pending: [], steps: [], executor: null, refusal: null });
    expect(plan.applied).toEqual([first, second]);
  });

  test("gives each migration a transaction of its own on request", () => {
    const plan = planMigrations(
      makeBundle(first, second),
      makeLedger(),
      policy({ transaction: "each" }),
    );

    expect(plan).toMatchObject({
      steps: [oneTransaction([first]), oneTransaction([second])],
      atomic: false,
    });
  });

  test("refuses a pending migration that is older than the newest applied one, and names it", () => {
    const ledger = makeLedger(rowOf(first, 1), rowOf(third, 2));

    const plan = planMigrations(makeBundle(first, second, third), ledger, policy());

    expect(plan.refusal?.code).toBe("OUT_OF_ORDER");
    expect(plan.refusal?.message).toContain(
      "0001_second is pending, but older than the newest applied one (0002_third).",
    );
    expect(plan.drift.outOfOrder).toEqual([{ tag: second.tag, hash: second.hash, when: 2_000 }]);
  });

  test("names a newest applied one that the folder does not have by the time of its making", () => {
    const ledger = makeLedger(rowOf(first, 1), rowOf(third, 2));

    const plan = planMigrations(makeBundle(first, second), ledger, policy());

    expect(plan.refusal?.message).toContain("(made on 1970-01-01 00:00 UTC, not in this bundle)");
  });

  test("calls it no rollback where the database is ahead and something is pending", () => {
    const ahead = rowOf(second, 2, { when: Date.UTC(2026, 10, 28, 15, 5) });
    const newer = makeMigration("0003_newer", Date.UTC(2026, 10, 29), "create table d ()");
    const warningsOf = (bundle: ReturnType<typeof makeBundle>) =>
      planMigrations(bundle, makeLedger(rowOf(first, 1), ahead), policy()).warnings;

    const [unmerged] = warningsOf(makeBundle(first, newer));
    const [rolledBack] = warningsOf(makeBundle(first));

    expect(unmerged?.message).toMatch(
      /, made on 2026-11-28 15:05 UTC\) .* this is no rollback.*Merge/,
    );
    expect(rolledBack?.message).toMatch(/made on 2026-11-28 15:05 UTC\) .* after a rollback\.$/);
  });

  test("applies an out-of-order migration by statements on request, because Drizzle would skip it", () => {
    const ledger = makeLedger(rowOf(first, 1), rowOf(third, 2));

    const plan = planMigrations(
      makeBundle(first, second, third),
      ledger,
      policy({ outOfOrder: "apply" }),
    );

    expect(plan).toMatchObject({
      pending: [{ migration: second, reasons: ["out-of-order"] }],
      executor: "statements",
      executorReason: "out-of-order",
      refusal: null,
    });
  });

  test("counts a row that the bundle does not know as the newest applied one", () => {
    const ledger = makeLedger(rowOf(first, 1), rowOf(third, 2));

    const plan = planMigrations(makeBundle(first, second), ledger, policy());

    expect(plan.refusal?.code).toBe("OUT_OF_ORDER");
  });

  test("applies a migration with the same time as the newest applied one by statements", () => {
    const twin = makeMigration("0002_twin", 2_000, "create table twin ()");
    const ledger = makeLedger(rowOf(first, 1), rowOf(second, 2));

    const plan = planMigrations(makeBundle(first, second, twin), ledger, policy());

    expect(plan).toMatchObject({
      pending: [{ migration: twin, reasons: ["behind-watermark"] }],
      executor: "statements",
      executorReason: "behind-watermark",
      refusal: null,
    });
  });

  test("leaves two pending migrations with one time to Drizzle when they share a transaction", () => {
    const twin = makeMigration("0001_twin", 1_000, "create table twin ()");

    const together = planMigrations(makeBundle(first, twin), makeLedger(), policy());
    const apart = planMigrations(
      makeBundle(first, twin),
      makeLedger(),
      policy({ transaction: "each" }),
    );

    expect(together.executor).toBe("drizzle");
    expect(apart).toMatchObject({ executor: "statements", executorReason: "behind-watermark" });
  });

  test("follows the journal where its times run backwards", () => {
    const early = makeMigration("0001_early", 500, "create table early ()");

    const plan = planMigrations(makeBundle(first, early), makeLedger(), policy());

    expect(plan).toMatchObject({
      steps: [oneTransaction([first, early])],
      executor: "drizzle",
      refusal: null,
    });
  });

  test("knows that a null time makes Drizzle run whatever it is given", () => {
    const ledger = makeLedger(rowOf(first, 1, { when: null }), rowOf(second, 2));

    const plan = planMigrations(makeBundle(first, second, third), ledger, policy());

    expect(plan).toMatchObject({ executor: "drizzle", pending: [{ migration: third }] });
  });

  test("reports a changed file with both hashes, warns by default and refuses on request", () => {
    const ledger = makeLedger(rowOf(first, 1, { hash: "f".repeat(64) }));

    const lenient = planMigrations(makeBundle(first), ledger, policy());
    const strict = planMigrations(makeBundle(first), ledger, policy({ modified: "error" }));

    expect(lenient.drift.modified).toEqual([
      { tag: first.tag, ledgerHash: "f".repeat(64), bundleHash: first.hash },
    ]);
    expect(lenient.refusal).toBeNull();
    expect(strict.refusal?.code).toBe("MODIFIED");
  });

  test("takes a database that is ahead as it is by default and refuses it on request", () => {
    const ledger = makeLedger(rowOf(first, 1), rowOf(second, 2));

    const lenient = planMigrations(makeBundle(first), ledger, policy());
    const strict = planMigrations(makeBundle(first), ledger, policy({ ahead: "error" }));

    expect(lenient.drift.unknown).toEqual([{ hash: second.hash, when: 2_000, name: null }]);
    expect(lenient.refusal).toBeNull();
    expect(strict.refusal?.code).toBe("AHEAD");
  });

  test("warns of what a policy lets pass, with both hashes and the way out, and not of what it refuses", () => {
    const ledger = makeLedger(
      rowOf(first, 1, { hash: "f".repeat(64) }),
      rowOf(third, 3, { name: "20260101_third" }),
    );
    const warningsWith = (fields: object) =>
      planMigrations(makeBundle(first), ledger, policy(fields)).warnings;

    expect(warningsWith({})).toEqual([
      {
        code: "MODIFIED",
        message: `Migration 0000_first is no longer what was applied (hash ffffffffffff… in the ledger, ${first.hash.slice(0, 12)}… in the bundle), and not run again. Restore the file; or take it as it is now with "neon-migrate repair --accept 0000_first".`,
      },
      {
        code: "AHEAD",
        message:
          "The database is ahead: 1 ledger row (20260101_third) belongs to no migration of this bundle. That is as it should be after a rollback.",
      },
    ]);
    const late = makeLedger(rowOf(first, 1), rowOf(second, 2), rowOf(third, 3));
    const { warnings } = planMigrations(makeBundle(first, third), late, policy());
    expect(warnings).toEqual([
      { code: "AHEAD", message: expect.stringContaining("so this is no rollback") },
    ]);
    expect(warningsWith({ modified: "error" }).map(({ code }) => code)).toEqual(["AHEAD"]);
    expect(warningsWith({ ahead: "error" }).map(({ code }) => code)).toEqual(["MODIFIED"]);
    expect(warningsWith({ modified: "error", ahead: "error" })).toEqual([]);
  });

  test.each([
    [{}, "OUT_OF_ORDER"],
    [{ outOfOrder: "apply" }, undefined],
    [{ ahead: "error" }, "AHEAD"],
    [{ ahead: "error", outOfOrder: "apply" }, "AHEAD"],
    [{ modified: "error" }, "MODIFIED"],
    [{ modified: "error", ahead: "error", outOfOrder: "apply" }, "MODIFIED"],
  ])(
    "weighs all three kinds of drift at once, the one that lies deepest first: %o is %s",
    (fields, code) => {
      const stranger = makeMigration("0003_stranger", 4_000, "create table d ()");
      const ledger = makeLedger(
        rowOf(first, 1, { hash: "f".repeat(64) }),
        rowOf(third, 2),
        rowOf(stranger, 3),
      );

      const plan = planMigrations(makeBundle(first, second, third), ledger, policy(fields));

      expect(plan.refusal?.code).toBe(code);
      expect(plan.drift).toEqual({
        modified: [{ tag: first.tag, ledgerHash: "f".repeat(64), bundleHash: first.hash }],
        unknown: [{ hash: stranger.hash, when: 4_000, name: null }],
        outOfOrder: [{ tag: second.tag, hash: second.hash, when: 2_000 }],
      });
    },
  );

  test("refuses to insist on Drizzle's migrator where it would skip a migration", () => {
    const twin = makeMigration("0001_twin", 1_000, "create table twin ()");

    const plan = planMigrations(
      makeBundle(first, twin),
      makeLedger(rowOf(first, 1)),
      policy({ executor: "drizzle" }),
    );

    expect(plan.refusal?.code).toBe("EXECUTOR_UNSUITABLE");
  });

  test("writes a ledger whose rows have names by itself: Drizzle 0.45 would leave them out", () => {
    const ledger = { ...makeLedger(rowOf(first, 1, { name: first.name })), format: "1.0" as const };

    expect(planMigrations(makeBundle(first, second), ledger, policy())).toMatchObject({
      executor: "statements",
      executorReason: "named-ledger",
      refusal: null,
    });
  });

  test("does not call a plan atomic that has to commit on its way, and refuses it where it must be", () => {
    const own = makeMigration("0000_own", 1_000, "create table a ()", "COMMIT", "vacuum a");

    expect(planMigrations(makeBundle(own), makeLedger(), policy())).toMatchObject({
      atomic: false,
      executorReason: "not-transactional",
    });
    const all = planMigrations(makeBundle(own), makeLedger(), policy({ transaction: "all" }));
    expect(all.refusal?.code).toBe("NOT_ATOMIC");
  });

  test("uses our own executor on request", () => {
    const plan = planMigrations(
      makeBundle(first),
      makeLedger(),
      policy({ executor: "statements" }),
    );

    expect(plan).toMatchObject({ executor: "statements", executorReason: "requested" });
  });

  test("loses no migration and doubles none, whatever the ledger holds", () => {
    const anyMigrations = fc.array(
      fc.record({ when: fc.integer({ min: 0, max: 5 }), text: fc.constantFrom("", "x", "y") }),
      { maxLength: 8 },
    );
    const anyRows = fc.array(
      fc.record({
        when: fc.option(fc.integer({ min: 0, max: 5 })),
        hash: fc.constantFrom("", "x", "y", "z").map((text) => makeMigration("t", 0, text).hash),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(anyMigrations, anyRows, (migrations, rows) => {
        const all = migrations.map(({ when, text }, index) =>
          makeMigration(`${index}`, when, text),
        );
        const ledger = makeLedger(...rows.map((row, index) => ({ id: index, name: null, ...row })));

        const plan = planMigrations(makeBundle(...all), ledger, policy());

        const pending = plan.pending.map(({ migration }) => migration);
        expect([...plan.applied, ...pending].sort(byTag)).toEqual(all.toSorted(byTag));
        const completed = plan.steps
          .flatMap(slicesOf)
          .filter(({ completes }) => completes)
          .map(({ migration }) => migration);
        expect(completed).toEqual(pending);
        expect(plan.applied.length + plan.drift.unknown.length).toBeLessThanOrEqual(rows.length);
      }),
    );
  });
});

function byTag(one: { tag: string }, other: { tag: string }): number {
  return one.tag.localeCompare(other.tag);
}
