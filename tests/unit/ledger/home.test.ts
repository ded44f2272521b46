import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { chooseHome, chooseWritePlace } from "../../../lib/ledger/home.ts";
import { makeHome, makeMigration, rowOf } from "../../setup/make-migration.ts";

const first = rowOf(makeMigration("0000_first", 1_000, "select 1"), 1);
const second = rowOf(makeMigration("0001_second", 2_000, "select 2"), 2);
const drizzle = makeHome("drizzle");
const fallback = makeHome("public");
const absent = { tableExists: false, mayRead: false, mayInsert: false, columns: [] };

describe("chooseHome", () => {
  test("takes the configured place when no ledger exists yet", () => {
    const ledger = chooseHome([makeHome("drizzle", absent), makeHome("public", absent)], [], "0.x");

    expect(ledger).toMatchObject({ exists: false, place: { schema: "drizzle" }, rows: [] });
  });

  test("stays in the fallback place when only that has rows, even if the other table exists", () => {
    const ledger = chooseHome(
      [drizzle, fallback],
      [
        { home: drizzle, rows: [], checkpoints: [] },
        { home: fallback, rows: [first], checkpoints: [] },
      ],
      "0.x",
    );

    expect(ledger).toMatchObject({ place: { schema: "public" }, rows: [first], warnings: [] });
  });

  test("takes the larger ledger when it contains the other, with a warning", () => {
    const ledger = chooseHome(
      [drizzle, fallback],
      [
        { home: drizzle, rows: [first], checkpoints: [] },
        { home: fallback, rows: [first, second], checkpoints: [] },
      ],
      "0.x",
    );

    expect(ledger.place.schema).toBe("public");
    expect(ledger.warnings.map(({ code }) => code)).toEqual(["LEDGER_DUPLICATE"]);
  });

  test("takes the configured place when both hold the same rows", () => {
    const ledger = chooseHome(
      [drizzle, fallback],
      [
        { home: drizzle, rows: [first], checkpoints: [] },
        { home: fallback, rows: [{ ...first, id: 9 }], checkpoints: [] },
      ],
      "0.x",
    );

    expect(ledger.place.schema).toBe("drizzle");
  });

  test("refuses two ledgers that contradict each other", () => {
    const split = () =>
      chooseHome(
        [drizzle, fallback],
        [
          { home: drizzle, rows: [first], checkpoints: [] },
          { home: fallback, rows: [second], checkpoints: [] },
        ],
        "0.x",
      );

    expect(split).toThrow(expect.objectContaining({ code: "LEDGER_SPLIT" }));
  });
});

describe("chooseWritePlace", () => {
  const missing = makeHome("drizzle", { ...absent, schemaExists: false, mayCreateTable: false });

  test("creates the schema and the table where the role may", () => {
    const ledger = chooseHome([missing, makeHome("public", absent)], [], "0.x");

    expect(chooseWritePlace(ledger, "app")).toEqual({
      place: { schema: "drizzle", table: "__drizzle_migrations" },
      createSchema: true,
      createTable: true,
      format: "0.x",
      checkpointsExist: false,
      mayLock: true,
    });
  });

  test("goes to public when the schema cannot be created", () => {
    const closed = { ...missing, mayCreateSchema: false };
    const ledger = chooseHome([closed, makeHome("public", absent)], [], "0.x");

    expect(chooseWritePlace(ledger, "app")).toEqual({
      place: { schema: "public", table: "__drizzle_migrations" },
      createSchema: false,
      createTable: true,
      format: "0.x",
      checkpointsExist: false,
      mayLock: true,
    });
  });

  test("says which GRANT helps when no place can be written", () => {
    const closed = { ...missing, mayCreateSchema: false };
    const shut = makeHome("public", { ...absent, mayCreateSchema: false, mayCreateTable: false });

    const error = thrownBy(() => chooseWritePlace(chooseHome([closed, shut], [], "0.x"), 'ap"p'));

    expect(error.code).toBe("LEDGER_DENIED");
    expect(error.message).toContain(
      'create schema "drizzle"; grant usage, create on schema "drizzle" to "ap""p";',
    );
  });

  test("never leaves a ledger that exists, even if another place could be written", () => {
    const readOnly = makeHome("drizzle", { mayInsert: false });
    const ledger = chooseHome(
      [readOnly, fallback],
      [{ home: readOnly, rows: [first], checkpoints: [] }],
      "0.x",
    );

    const error = thrownBy(() => chooseWritePlace(ledger, "app"));

    expect(error.code).toBe("LEDGER_DENIED");
    expect(error.message).toContain(
      'grant select, insert on "drizzle"."__drizzle_migrations" to "app";',
    );
  });
});

function thrownBy(work: () => unknown): MigratorError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof MigratorError) return thrown;
  }
  throw new Error("No MigratorError was thrown.");
}
