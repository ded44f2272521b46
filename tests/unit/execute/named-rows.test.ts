import { expect, test } from "vitest";
import { type Part, withHistory } from "../../../lib/execute/transaction.ts";
import type { HistoryKeeper } from "../../../lib/history/keeper.ts";

const PLACE = { schema: "drizzle", table: "__drizzle_migrations" };

/** The names of the history's rows in a transaction with this text between two of them. */
async function namesAround(text: string): Promise<readonly (string | undefined)[]> {
  let names = 0;
  const keeper: HistoryKeeper = {
    entry: () => null,
    creation: () => null,
    nextName: () => {
      names += 1;
      return `name_${names}`;
    },
    kept: () => undefined,
    refused: () => undefined,
    warnings: () => [],
  };
  const row: Part = { kind: "history", text: "insert", values: ["a"] };
  const parts: readonly Part[] = [row, { kind: "setting", text }, row];
  return await withHistory(parts, { keeper, place: PLACE }, (sent) =>
    Promise.resolve(sent.filter(({ kind }) => kind === "history").map(({ name }) => name)),
  );
}

test.each(["discard temp", "DISCARD TEMPORARY", "reset all", "select 1"])(
  "the server parses the row of a history once, across %j",
  async (text) => {
    expect(await namesAround(text)).toEqual(["name_1", "name_1"]);
  },
);

test.each([
  ...["deallocate all", "DEALLOCATE PREPARE x", "discard all", "discard /* temp */ all"],
  ...["discard plans", "do $$ begin discard all; end $$", "discard temp; discard all"],
])("the server parses it again behind %j", async (text) => {
  expect(await namesAround(text)).toEqual(["name_1", "name_2"]);
});
