import { expect, test } from "vitest";
import { type Part, rehearsedParts } from "../../../lib/execute/transaction.ts";

const row: Part = { kind: "history", text: "insert into h values ($1)", values: ["1"], name: "h" };
const guard: Part = { kind: "guard", text: "select 1" };

test("plans the first row of the history and the guard, and executes neither", () => {
  expect(rehearsedParts([{ kind: "setting", text: "reset all" }, row, row], [guard])).toEqual([
    { kind: "history", text: "explain insert into h values ($1)", values: ["1"] },
    { kind: "guard", text: "explain select 1" },
  ]);
});

test("plans nothing into a table that is still to be made", () => {
  const creation: Part = { kind: "history", text: "create table h ()" };

  expect(rehearsedParts([creation, row], [guard])).toEqual([
    { kind: "guard", text: "explain select 1" },
  ]);
});
