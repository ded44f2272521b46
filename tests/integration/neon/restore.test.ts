import { beforeAll, describe, expect, test } from "vitest";
import { createNeonApi } from "../../../lib/neon/neon-api.ts";
import { useNeon } from "../../setup/neon.ts";
import { waitFor } from "../../setup/wait-for.ts";

const scene = useNeon();

const connect = () =>
  createNeonApi({
    ...{ key: scene.neon.apiKey, projectId: scene.neon.projectId, url: scene.neon.url },
    ...{ deadline: Date.now() + 600_000, code: "REHEARSAL_UNAVAILABLE" },
  });

beforeAll(async () => {
  await scene.neon.branch("main").sql("create table notes (text text)");
});

const notes = (branch: string) => scene.neon.branch(branch).sql("select text from notes");

/** Writes two notes, and returns the place between them. */
async function between(): Promise<{ readonly branchId: string; readonly lsn: string }> {
  const main = scene.neon.branch("main");
  await main.sql("truncate notes");
  await main.sql("insert into notes values ('good')");
  const { lsn } = await main.head();
  await main.sql("update notes set text = 'bad'");
  return { branchId: main.id, lsn };
}

describe("a restore", () => {
  test.each([
    ["with an answer", null],
    ["without an answer", "answer lost"],
    ["that has to be sent again", "call lost"],
  ] as const)("goes back once and keeps the present state: %s", async (_what, fault) => {
    const { branchId, lsn } = await between();
    const before = scene.neon.branchNames().length;
    if (fault !== null) scene.neon.fail("restoreProjectBranch", fault);
    const api = connect();

    const begun = await api.restoreBranch({ branchId, at: { lsn }, preservePrefix: "before" });
    await api.untilReady(begun);

    expect(await notes("main")).toEqual([{ text: "good" }]);
    expect(await notes(begun.preservedName)).toEqual([{ text: "bad" }]);
    expect(scene.neon.branchNames()).toHaveLength(before + 1);
  });

  test("can go back as far as the project keeps its history", async () => {
    expect(await connect().restoreWindowSeconds()).toBe(21_600);
  });

  test("that fails says why", async () => {
    const { branchId, lsn } = await between();
    scene.neon.failOperation("create_branch", "the storage is away");
    const api = connect();

    const begun = await api.restoreBranch({ branchId, at: { lsn }, preservePrefix: "before" });

    await expect(api.untilReady(begun)).rejects.toThrow("failed: the storage is away");
    expect(await notes("main")).toEqual([{ text: "bad" }]);
  });

  test("without an answer is not taken for the one that failed before", async () => {
    const { branchId, lsn } = await between();
    const asked = { branchId, at: { lsn }, preservePrefix: "before" };
    scene.neon.failOperation("create_branch", "the storage is away");
    const api = connect();
    const failed = await api.restoreBranch(asked);
    await expect(api.untilReady(failed)).rejects.toThrow("the storage is away");
    // The API writes times in whole seconds.
    const end = Math.ceil((Date.now() + 1) / 1_000) * 1_000;
    await waitFor(() => Date.now() > end);
    scene.neon.fail("restoreProjectBranch", "answer lost");

    await api.untilReady(await api.restoreBranch(asked));

    expect(await notes("main")).toEqual([{ text: "good" }]);
  });

  test.each([
    ["at a place that is not written", { at: { lsn: "F/0" } }, /outside the history/],
    ["at a time before the project", { at: { time: new Date(0) } }, /outside the history/],
  ])("is refused %s", async (_what, changes, said) => {
    const { branchId } = await between();

    await expect(
      connect().restoreBranch({ branchId, preservePrefix: "before", ...changes }),
    ).rejects.toThrow(said);
  });

  test("is refused on a protected branch, before anything is asked for", async () => {
    const { branchId, lsn } = await between();
    await scene.call("PATCH", `/branches/${branchId}`, { branch: { protected: true } });

    const refused = connect().restoreBranch({ branchId, at: { lsn }, preservePrefix: "before" });

    await expect(refused).rejects.toThrow("The branch main is protected.");
    await scene.call("PATCH", `/branches/${branchId}`, { branch: { protected: false } });
  });
});
