import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** A promise about the state of a database: the words of its sentence, and the test file that makes it come true. */
type Promised = readonly [sentence: string, test: string, quote?: string];

const WRITTEN = "tests/integration/amend/nothing-written.test.ts";
const RUN = "tests/integration/report/nothing-run.test.ts";
const BACK = "tests/integration/report/rolled-back.test.ts";
const SENTENCES = "tests/integration/report/sentences.test.ts";
const GUARD = "tests/integration/ledger/guard.test.ts";
const BLAME = "tests/integration/execute/blame.test.ts";
const IN_DOUBT = "tests/integration/execute/in-doubt.test.ts";
const DEPLOYMENT = "tests/bundle/deployment.test.ts";
const RUNS = "tests/bundle/runs.test.ts";
const INVOKE = "tests/integration/bin/invoke.test.ts";
const FLEET = "tests/bundle/fleet.test.ts";
const FLEET_COMMAND = "tests/bundle/fleet-command.test.ts";
const FLEET_INPUT = "tests/unit/bin/fleet/input.test.ts";
const SMOKE = "tests/integration/bin/smoke.test.ts";

/**
 * Every sentence of the product that says in which state something was left, with the file of the test that looks whether it
 * is true. The test must quote the sentence, or these words of it.
 */
const PROMISES: Readonly<Record<string, readonly Promised[]>> = {
  "bin/amend/render.ts": [
    ["Nothing was written. Repeat", "tests/integration/bin/cli.test.ts"],
    ["Nothing was written.", WRITTEN, "Failed. Nothing was written."],
  ],
  "bin/endings.ts": [
    ["what was not committed is rolled back.", "tests/integration/bin/cli.test.ts"],
  ],
  "bin/fleet/command.ts": [
    ["Nothing was started.", FLEET_COMMAND, "under way since"],
    ["Nothing was started.", FLEET_INPUT],
  ],
  "bin/fleet/errors.ts": [["Nothing was started.", FLEET_COMMAND, "a name that was there"]],
  "bin/fleet/input.ts": [["Nothing was started.", FLEET_INPUT]],
  "bin/init/render.ts": [
    ["Nothing was written. Repeat", "tests/integration/bin/init.test.ts"],
    ["Nothing was written:", "tests/integration/bin/init.test.ts"],
  ],
  "bin/invoke/errors.ts": [
    ["Nothing was run.", INVOKE, "name the function by its ARN. Nothing was run."],
    ["Nothing was run.", INVOKE, "or give this job a role. Nothing was run."],
    ["Nothing was run.", INVOKE, "could not be reached"],
    ["Nothing was run.", INVOKE, "Lambda has no room"],
    ["Nothing was run.", INVOKE, "need lambda:InvokeFunction on it. Nothing was run."],
    ["Nothing was run.", INVOKE, "Lambda does not start"],
  ],
  "bin/render/error.ts": [
    ["No pending migration has left anything behind.", BACK],
    ["The migrations ticked above stay applied.", RUN],
    ["are done, and stay done.", RUN],
    ["Nothing was applied.", SENTENCES],
    ["Nothing was run", SENTENCES, "Nothing was run."],
  ],
  "bin/restore/render.ts": [
    [
      "Nothing was changed.",
      "tests/integration/bin/restore.test.ts",
      "Nothing was changed. Repeat with --yes to do it.",
    ],
  ],
  "bin/smoke/cdk.ts": [["Nothing was made.", SMOKE, "Nothing was made. Install it:"]],
  "bin/smoke/database.ts": [
    ["Nothing was made.", SMOKE, "takes no writes. Nothing was made."],
    ["Nothing was made.", SMOKE, "Nothing was made. As the owner of the database"],
  ],
  "bin/smoke/place.ts": [["Nothing was made.", SMOKE, "Nothing was made. Name one with --secret"]],
  "bin/smoke/render.ts": [["Nothing was made.", SMOKE, "Nothing was made. Do it:"]],
  "lib/amend/accept.ts": [["Nothing was written.", WRITTEN, "has only 1 now"]],
  "lib/amend/amend.ts": [
    ["Nothing was written.", WRITTEN, "default_transaction_read_only"],
    ["so they are rolled back.", WRITTEN, "are rolled back."],
  ],
  "lib/amend/baseline.ts": [["Nothing was written.", WRITTEN, "BASELINE_MISMATCH"]],
  "lib/amend/merge-ledgers.ts": [
    ["Nothing was written.", WRITTEN, "Merge with the folder that has this migration. Nothing"],
    ["Nothing was written.", WRITTEN, "LEDGER_SPLIT"],
  ],
  "lib/amend/resolve.ts": [
    ["Nothing was written.", WRITTEN, "MODIFIED"],
    ["Nothing was written.", WRITTEN, "nothing to resolve"],
  ],
  "lib/connection/errors.ts": [["What was not committed is rolled back;", BACK]],
  "lib/events/response-url.ts": [["Nothing was run, and nothing was sent.", DEPLOYMENT]],
  "lib/events/stale.ts": [
    ["Nothing was run.", "tests/bundle/lifecycle.test.ts"],
    ["Nothing was run, because", "tests/unit/events/stale.test.ts"],
  ],
  "lib/events/unsupported-answer.ts": [
    ["nothing was run.", RUN, "does not serve; nothing was run."],
  ],
  "lib/execute/contention.ts": [
    ["it is not done.", BACK],
    ["it is rolled back.", BACK],
    ["What was not committed is rolled back;", "tests/integration/migrate/refused-midway.test.ts"],
  ],
  "lib/execute/standalone.ts": [
    ["so it is not sent again by itself.", IN_DOUBT, "STEP_IN_DOUBT"],
    ["} behind:", IN_DOUBT, "It left an INVALID index behind"],
    ["it was not repeated.", IN_DOUBT, "STEP_FOUND_DONE"],
  ],
  "lib/execute/statement-errors.ts": [["The transaction is rolled back.", BACK]],
  "lib/execute/step-facts.ts": [
    ["is done and stays done;", BLAME, "1 of 2 is done and stays done;"],
    ["are done and stay done;", RUN],
  ],
  "lib/events/http/serve-run.ts": [["Nothing was run;", FLEET]],
  "lib/fleet/aim.ts": [["Nothing was run.", FLEET]],
  "lib/handler/handler.ts": [
    ["what was not committed is rolled back.", "tests/integration/handler/late-answers.test.ts"],
  ],
  "lib/handler/refuse-too-large.ts": [
    ["Nothing was run.", "tests/bundle/loading.test.ts", "Nothing was run"],
  ],
  "lib/handler/streaming-handler.ts": [["Nothing was run.", RUN]],
  "lib/ledger/denied.ts": [
    ["Nothing is read from it, and nothing is run with it.", RUN],
    ["Nothing is run without one.", RUN],
    ["Nothing was written.", WRITTEN, "Nothing was written. Use"],
  ],
  "lib/ledger/elsewhere.ts": [["Nothing was run.", "tests/integration/ledger/elsewhere.test.ts"]],
  "lib/ledger/guard.ts": [
    ["so this transaction was not committed.", GUARD],
    ["was not committed.", GUARD, "Somebody without the migration lock is writing"],
    ["is rolled back.", GUARD, "is rolled back. A statement of this run gave"],
    ["The transaction is rolled back.", BACK, "The transaction is rolled back"],
    ["so the transaction is rolled back.", BACK, "does not have it now, so the transaction is"],
  ],
  "lib/ledger/home.ts": [["Nothing is run with two.", RUN]],
  "lib/ledger/pooler.ts": [
    ["Nothing is run through it.", "tests/trials/pooler.test.ts", "There is a transaction pooler"],
    ["Nothing is run through it.", "tests/trials/pooler.test.ts", "two sessions at once"],
  ],
  "lib/ledger/refused.ts": [
    ["The transaction is rolled back.", BACK, "Sequences are not replicated. The transaction is"],
    ["The transaction is rolled back.", BACK, "row-level security policy. The transaction is"],
    [
      "The pending migrations cannot be rolled back as a whole",
      "tests/integration/ledger/refusals.test.ts",
    ],
  ],
  "lib/migrate/migrate.ts": [["what was not committed is rolled back.", BACK]],
  "lib/queued-runs/denied.ts": [["Nothing of it was read, and nothing was run.", RUNS]],
  "lib/plan/first-tables.ts": [
    ["Nothing was run.", "tests/integration/migrate/first-contact.test.ts"],
  ],
  "lib/queued-runs/invoke-itself.ts": [["and nothing was run:", RUNS]],
  "lib/queued-runs/record.ts": [
    ["What was committed stays, the rest is rolled back.", RUNS],
    ["Nothing was run.", RUNS],
  ],
  "lib/queued-runs/start-run.ts": [["Nothing was run;", RUN]],
  "lib/rehearsal/carry-out.ts": [
    ["Nothing was run;", "tests/integration/rehearsal/carry-out.test.ts", "Nothing was run;"],
  ],
  "lib/target/allowed.ts": [["Nothing was run.", FLEET]],
  "lib/unknown-fields.ts": [["nothing was run.", RUN, "no field of a request; nothing was run."]],
};

/** The words by which such a sentence is known. */
const STATE =
  /\bnothing (?:was|is (?:run|read|written))\b|\b(?:rolled|rolls) back\b|\bleft (?:\S+ )?behind\b|\bstays?\b(?= (?:applied|done))|\bstays,|\bas it was\b|\b(?:is|are|was|were) not (?:done|applied|committed|sent|repeated)\b|\bhas left\b/i;
/** Sentences that only look like that: they speak of no database, or of what was before. */
const OTHERS = [
  "none that was rolled back, or ended by DISCARD ALL.",
  "The migrations were not applied",
];
const TEXT = /\/\/[^\n]*|\/\*.*?\*\/|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/gs;

/** Returns the sentences of a source file that promise something about a state. */
function promisesIn(source: string): readonly string[] {
  return Array.from(source.matchAll(TEXT), ([text]) => text)
    .filter((text) => !text.startsWith("/"))
    .flatMap((text) => text.slice(1, -1).split(/(?<=[.;:!?])\s+(?=\S)/))
    .filter((sentence) => STATE.test(sentence) && !OTHERS.some((each) => sentence.includes(each)));
}

/** Pairs the sentences of a file with the entries for it. Returns what is left of either. */
function unpaired(sentences: readonly string[], entries: readonly Promised[]): readonly string[] {
  const open = [...entries].toSorted(([one], [other]) => other.length - one.length);
  const unlisted = sentences.filter((sentence) => {
    const found = open.findIndex(([words]) => sentence.includes(words.split(/(?<=\.) /)[0] ?? ""));
    if (found >= 0) open.splice(found, 1);
    return found < 0;
  });
  return [
    ...unlisted.map((sentence) => `no test is named for: ${sentence}`),
    ...open.map(([words]) => `no sentence has the words: ${words}`),
  ];
}

/** Says what is wrong with the test of an entry. */
function complaintsAbout([words, path, quote = words]: Promised): readonly string[] {
  if (!existsSync(path)) return [`${path} does not exist`];
  const text = readFileSync(path, "utf8").replaceAll("\\", "");
  return text.includes(quote) ? [] : [`${path} does not say: ${quote}`];
}

/** `lib/compile` and `bin/check` reach no database. */
const files = ["lib", "bin"]
  .flatMap((top) =>
    readdirSync(top, { recursive: true, encoding: "utf8" }).map((path) => `${top}/${path}`),
  )
  .filter((path) => path.endsWith(".ts") && !/^lib\/compile\/|^bin\/check\//.test(path));

test("every sentence about the state of a database has a test that looks, which is named here", () => {
  const complaints = files.flatMap((path) =>
    unpaired(promisesIn(readFileSync(path, "utf8")), PROMISES[path] ?? []).map(
      (complaint) => `${path}: ${complaint}`,
    ),
  );

  expect(complaints).toEqual([]);
  expect(Object.keys(PROMISES).filter((path) => !files.includes(path))).toEqual([]);
});

test("every test that is named here exists, and quotes the sentence", () => {
  expect(Object.values(PROMISES).flat().flatMap(complaintsAbout)).toEqual([]);
});

test("a new sentence, one more of the same words, and one that is gone are noticed", () => {
  const source = 'throw new E("A", `It failed. Nothing was run.`); // Nothing was written.';
  const entry: Promised = ["Nothing was run.", RUN];

  expect(promisesIn(source)).toEqual(["Nothing was run."]);
  expect(unpaired(promisesIn(source), [entry])).toEqual([]);
  expect(unpaired(promisesIn(source), [])).toEqual(["no test is named for: Nothing was run."]);
  expect(unpaired(promisesIn(`${source}\n${source}`), [entry])).toHaveLength(1);
  expect(unpaired([], [entry])).toEqual(["no sentence has the words: Nothing was run."]);
  expect(complaintsAbout(["Nothing was run.", "tests/docs/no.test.ts"])).toHaveLength(1);
  expect(complaintsAbout(["Nobody has ever written this.", RUN])).toHaveLength(1);
});
