import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** The traps of a fleet that are known, and the place and the title of the test that each has. */
const TRAPS: Readonly<Record<string, readonly [string, string]>> = {
  "18 a URL in a target": [
    "bundle/fleet",
    "WHEN a URL is in a target THEN it is refused, and is nowhere in answer and log",
  ],
  "18 a URL in the list": [
    "bundle/fleet",
    "WHEN an entry has a URL, or the list is empty THEN it is refused and nothing is written",
  ],
  "19 reference outside TARGETS; .., *, other account's ARN": [
    "unit/target/allowed",
    "a reference outside TARGETS is denied, and so is every other spelling of one inside:",
  ],
  "20 ids that differ in case or composition; duplicates": [
    "unit/fleet/plan",
    "%j and %j are refused as one, with both lines",
  ],
  "20 BOM, CRLF, blank last line": [
    "unit/fleet/plan",
    "may have a byte order mark, line ends of Windows and blank last lines",
  ],
  "20 1 bad line of 10,000": [
    "unit/fleet/plan",
    "with one bad line of 10,000, %s, is refused with the number of the line",
  ],
  "21 two ids, one database: refused": ["unit/fleet/plan", "for one database are refused"],
  "21 two ids, one database: run once": [
    "bundle/fleet-endings",
    "that nobody can tell from their references are migrated once: the lock holds",
  ],
  "22 empty list": [
    "bundle/fleet",
    "WHEN an empty list is allowed THEN there is no wave, and the report is up-to-date",
  ],
  "22 everything up to date: no empty Map Run": [
    "local/fleet-machine",
    "reports at once where nobody is due, and begins no map",
  ],
  "22 percent of 3 tenants": [
    "unit/fleet/plan",
    "of a percent of three tenants have at least one, and those without anybody are left out",
  ],
  "23 list changes while running": [
    "bundle/fleet-endings",
    "counts in the next run: this one has its own copy, and who left leaves the ledger then",
  ],
  "24 deploy in the middle of a fleet: pinned version": [
    "local/fleet-machine",
    "calls the version that it was deployed with, also when a newer one comes meanwhile",
  ],
  "24 deploy in the middle of a fleet: BUNDLE_MISMATCH for all the rest": [
    "bundle/fleet-endings",
    "that replaces the code of the version is refused for all the rest, and nothing is applied there",
  ],
  "25 Lambda throttled": [
    "local/fleet-machine",
    "retries what Lambda throttles, and spends no budget on it",
  ],
  "26 MIGRATION_FAILED": [
    "local/fleet-machine",
    "tries a tenant with %s %i times, and counts it once",
  ],
  "27 Task time-out while the invocation commits": [
    "bundle/fleet-endings",
    "because the task's time was over, is unknown; the next run finds it up to date, and counts it once",
  ],
  "28 aborted child whose Lambda goes on": [
    "bundle/fleet-endings",
    "because somebody stopped the run, goes on; it is unknown and never failed, and the resume settles it",
  ],
  "29 budget exceeded in wave 1": [
    "local/fleet-machine",
    "calls nobody of the second wave when the first one went over its budget",
  ],
  "30 overshoot at maxConcurrency": [
    "local/fleet-machine",
    "bounds the failures, for the 50 seeds from %i",
  ],
  "31 Map caught: manifest appears late": [
    "unit/fleet/report",
    "whose manifest comes late is waited for",
  ],
  "31 Map caught: manifest never": [
    "unit/fleet/report",
    "whose manifest never comes is incomplete, and nobody knows what became of its tenants",
  ],
  "32 Prepare/Report fail; redrive of that execution": [
    "local/fleet-machine",
    "goes on where preparing or reporting failed, by a redrive",
  ],
  "32 redrive of a caught wave": [
    "local/fleet-machine",
    "does not go on in a wave that went over its budget, by a redrive: it reports again, and calls nobody",
  ],
  "33 Cause over 32 KiB": [
    "unit/events/direct-answer",
    "the error of a tenant stays under 32 KiB as a cause, and says what a fleet's report needs:",
  ],
  "33 report over 256 KiB": [
    "unit/events/direct-answer",
    "the report of a tenant stays under 256 KiB, and is JSON with all that the machine reads",
  ],
  "34 4 MB SUCCEEDED file, two files, JSONL": [
    "unit/fleet/report",
    "may be in two files, as JSON or JSON lines, of 4 MB",
  ],
  "34 redriven manifest": [
    "unit/fleet/report",
    "of a redriven map count each tenant once, and the last attempt wins",
  ],
  "35 ledger says applied, database was restored to yesterday": [
    "bundle/fleet",
    "WHEN the ledger says applied and a database was restored to yesterday THEN one lie asks everybody",
  ],
  "36 ledger missing, corrupt": ["unit/fleet/ledger", "that %s is an empty one"],
  "36 ledger older, reported late": ["unit/fleet/ledger", "the newest word counts: %s"],
  "36 ledger written by two runs": [
    "unit/fleet/ledger",
    "of two runs that write at once has both, and the one that loses each time loses cleanly",
  ],
  "37 older bundle after a rollback of the code": [
    "bundle/fleet-endings",
    "skips nobody by the newer ledger, and each tenant that is ahead is counted",
  ],
  "38 tenant deleted meanwhile: own class": [
    "bundle/fleet-attacks",
    "whose database is dropped in the middle of its wave is gone, and the others are migrated",
  ],
  "38 tenant deleted meanwhile: policy": [
    "local/fleet-machine",
    "with gone: %s a tenant that is gone ends as %s",
  ],
  "39 tenant created meanwhile": [
    "bundle/fleet-endings",
    "counts in the next run: this one has its own copy, and who left leaves the ledger then",
  ],
  "40 OUT_OF_ORDER at 30 % of tenants": [
    "unit/fleet/report",
    "with 30 % out of order has one line for them, and the command that goes on",
  ],
  "41 500 databases on one compute": [
    "unit/fleet/plan",
    "of 500 databases on one compute respect the cap per host, and share the budget",
  ],
  "42 DEADLINE with each: goes on; with all: not for ever": [
    "local/fleet-machine",
    "tries a tenant that is late with a transaction for %s %i times",
  ],
  "43 someone stops the execution": [
    "bundle/fleet-command",
    "a fleet that is through wakes nobody; a run that somebody stops has its report made afterwards",
  ],
  "44 CDK user on old flags: same ASL, ResultWriter present": [
    "infra/fleet",
    "WHEN synthesised THEN the definition is the file, byte for byte, and a version and the bucket are put in",
  ],
  "44 Terraform user: same ASL": [
    "infra/fleet-examples",
    "WHEN %s is deployed THEN its machine is the package's file, with both substitutions",
  ],
  "45 role of the machine": [
    "infra/fleet",
    "WHEN the machine's rights are read THEN it reads no secret and no ledger, and nothing is for everything",
  ],
  "45 function's role cannot start executions": [
    "infra/fleet",
    "WHEN the function's rights are read THEN it starts no execution, and reads the parameters that targets names",
  ],
  "46 single-tenant users": [
    "bundle/loading",
    "leaves out fleets: a function for one database runs without their files and settings",
  ],
};

test.each(Object.entries(TRAPS))("the trap has a test of its name: %s", (_trap, [file, title]) => {
  const source = readFileSync(`tests/${file}.test.ts`, "utf8");

  expect(source).toMatch(new RegExp(`(?:test|describe|\\))\\(\\s*"${escaped(title)}`));
});

test("every trap is there, from 18 to 46", () => {
  const numbers = new Set(Object.keys(TRAPS).map((trap) => Number.parseInt(trap, 10)));

  expect([...numbers]).toEqual(Array.from({ length: 46 - 18 + 1 }, (_, index) => 18 + index));
});

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
