/*
 * The demonstration behind `npm start`. It tells the story of a few deployments on a real PostgreSQL and on the stand-ins
 * in the folders beside this file. A stand-in behaves as its service does, and has faults on command. Nothing here calls
 * a service outside this machine, and nothing of the product imports it.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { readCommandLine } from "./command-line.ts";
import { CHAPTERS } from "./story/chapters.ts";
import { FLEET_CHAPTERS } from "./story/fleet.ts";
import { Screen } from "./story/screen.ts";
import { openStage, type Stage } from "./story/stage.ts";

const USAGE = `usage: npm start -- [--json]

Tells the story of a few deployments, played on a real PostgreSQL and on stand-ins for AWS and Neon.
--json prints every answer on standard output, and the story on standard error. Ends with 1 where something came out otherwise than it is told.`;

const OPTIONS = { json: { type: "boolean", default: false } } as const;

const LESSONS = [
  "New code went live only after its schema was there, and never without it.",
  "Of two deployments at once one applied, and the other waited and had nothing to do.",
  "check had found what would have stopped the writes, with the SQL to put in its place.",
  "A broken migration left nothing behind. The stack went back, and the old code went on serving.",
  "The command line named file, line, column and correction. The ledger is Drizzle's own.",
  "A rehearsal on a branch stopped what only production's data contradicts, before it got there.",
  "The history knows who changed what, and a branch has the state before it, with its rows.",
  "Of a fleet only the canary met the broken migration, and behind the fix the same input finished it.",
];

const NEXT = [
  [
    "npx neon-migrate local",
    "the same stand-ins on a folder of your own (npm run local: this one)",
  ],
  ["npx neon-migrate check", "what is dangerous in your migrations; docs/reference/rules.md"],
  ["docs/reference/construct.md", "the construct for CDK; infra/examples has SAM, SST and others"],
  ["docs/README.md", "a database that is live already, drift, half-applied migrations"],
  ["README.md", "everything else, in the order in which it is needed"],
] as const;

/** `npm start`: tells the story, and says at its end what was seen and where to go on. */
async function main(json: boolean): Promise<void> {
  const print = json ? console.error : console.log;
  const screen = new Screen(print);
  const scratch = mkdtempSync(join(tmpdir(), "neon-lambda-migrator-"));
  const started = Date.now();
  print(
    "Starting a real PostgreSQL, a relay that behaves like Neon's proxy, and stand-ins for Neon's API,",
  );
  print("CloudFormation, Lambda, Step Functions and S3. No account and no Docker is needed.");
  try {
    const stage = await openStage(scratch);
    try {
      const answers = await tell(stage, screen);
      if (json) console.log(JSON.stringify(answers, null, 2));
    } finally {
      await stage.close();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (process.exitCode !== 1) epilogue(screen, started);
}

/** Tells every chapter. One with another end than its own makes the exit code 1. */
async function tell(stage: Stage, screen: Screen): Promise<readonly object[]> {
  const answers: object[] = [];
  for (const [index, { title, expected, play }] of [...CHAPTERS, ...FLEET_CHAPTERS].entries()) {
    screen.chapter(index + 1, title);
    const { seen, answer } = await play(stage, screen);
    answers.push({ title, expected, seen, ...answer });
    if (seen === expected) continue;
    process.exitCode = 1;
    screen.say(
      pc.red(`This is not what should have come of it. Expected: ${expected}. Seen: ${seen}.`),
    );
  }
  return answers;
}

function epilogue(screen: Screen, started: number): void {
  screen.title("What you saw");
  for (const lesson of LESSONS) screen.say(`· ${lesson}`);
  screen.title("Where to go next");
  for (const [where, what] of NEXT) screen.say(`${where.padEnd(28)}${what}`);
  screen.title(
    `${((Date.now() - started) / 1_000).toFixed(1)} s. Everything is stopped and removed.`,
  );
}

await main(
  readCommandLine({ usage: USAGE, config: { options: OPTIONS } }, ({ values }) => values.json),
);
