import { expect, test } from "vitest";
import { Pipeline, SendFailure, type Sending } from "../../../lib/connection/pipeline.ts";

const WIRE = {
  parse: () => undefined,
  bind: () => undefined,
  execute: () => undefined,
  flush: () => undefined,
  sync: () => undefined,
};

const CANCELLED = Object.assign(new Error("canceling statement due to user request"), {
  ...{ code: "57014", severity: "ERROR", file: "postgres.c" },
});

const QUESTION: Sending = { text: "select 1", isOfNext: true, onRows: () => undefined };

/** Sends a series of which the server answers so many members before it refuses one. */
function refusedBehind(answers: number, ...series: readonly Sending[]) {
  const pipeline = new Pipeline(series, () => undefined);
  pipeline.submit(WIRE);
  for (let answer = 0; answer < answers; answer += 1) pipeline.handleCommandComplete();
  pipeline.handleError(CANCELLED);
  return pipeline.done;
}

test("takes a refused question for the statement behind it, in the server's words", async () => {
  const failure = refusedBehind(1, { text: "begin" }, QUESTION, { text: "alter table a" });

  await expect(failure).rejects.toEqual(new SendFailure(1, true, CANCELLED));
});

test("does not take back a commit because the question behind it was refused", async () => {
  const durations = await refusedBehind(2, { text: "begin" }, { text: "commit" }, QUESTION);

  expect(durations).toHaveLength(2);
});

test("is refused with the commit that a question follows", async () => {
  const failure = refusedBehind(1, { text: "begin" }, { text: "commit" }, QUESTION);

  await expect(failure).rejects.toMatchObject({ index: 1 });
});
