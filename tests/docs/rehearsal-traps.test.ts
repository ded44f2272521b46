import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** The traps of a rehearsal that are known, and the place and the title of the test that each has. */
const TRAPS: Readonly<Record<string, readonly [string, string]>> = {
  "1 connection_uri answers with production's host": [
    "integration/rehearsal/traps",
    "connection_uri answers with production's host: REHEARSAL_UNSAFE, no statement is sent",
  ],
  "2 production is not the default branch": [
    "integration/rehearsal/traps",
    "production is not the default branch: its own branch is the parent",
  ],
  "3 pooled host, custom host, IP host in the URL": [
    "integration/rehearsal/traps",
    "pooled host, custom host, IP host in the URL",
  ],
  "4 POST's answer is lost; branch exists": [
    "integration/rehearsal/traps",
    "POST's answer is lost; the branch exists: it is found by its name and deleted",
  ],
  "5 name taken by a stale or foreign branch": [
    "integration/rehearsal/traps",
    "the name is taken by a stale or foreign branch: it is never reused",
  ],
  "6 423 for 30 s; 429; 503; 401; 404; limit of branches": [
    "integration/rehearsal/traps",
    "423 for 30 s, 429, 503, 401, 404, the limit of branches",
  ],
  "7 operation ends failed, error, never ends": [
    "integration/rehearsal/traps",
    "the operation ends failed, or never ends: the branch is deleted, and time is kept for it",
  ],
  "8 function killed between create and delete": [
    "bundle/rehearsals",
    "killed between create and delete, or cut anywhere: no statement on production, no branch without an expiry",
  ],
  "9 delete answers 204, 423, 5xx, nothing": [
    "integration/rehearsal/traps",
    "delete answers 204, 423, 5xx, nothing: the run's outcome stays",
  ],
  "10 protected parent: new password; old one refused": [
    "integration/rehearsal/traps",
    "protected parent: it has a new password and the old one is refused",
  ],
  "11 Free plan: suspend_timeout_seconds, CU above plan": [
    "integration/rehearsal/traps",
    "Free plan",
  ],
  "12 rehearsal passes, somebody migrates, then apply": [
    "integration/rehearsal/carry-out",
    "rehearsal passes, somebody migrates, then apply: REHEARSAL_STALE",
  ],
  "13 rehearsal passes, apply meets a lock": [
    "integration/rehearsal/carry-out",
    "rehearsal passes, apply meets a lock: ordinary LOCK_TIMEOUT, no blame on the rehearsal",
  ],
  "14 lock on a table created in the same transaction": [
    "integration/rehearsal/observe",
    "a lock on a table created in the same transaction is not reported as blocking",
  ],
  "15 rewrite by type change, and a lock that is held on": [
    "integration/rehearsal/observe",
    "a rewrite by a change of type, and a lock that was held from an earlier statement on",
  ],
  "15 FK; partition; trigger-fired locks on a third table": [
    "integration/rehearsal/observe",
    "a foreign key stops writes of both tables, a trigger reaches a third one, a partition its parent",
  ],
  "16 CREATE INDEX CONCURRENTLY, fails, INVALID left": [
    "integration/rehearsal/rehearse",
    "CREATE INDEX CONCURRENTLY, fails, INVALID left: seen on the branch only",
  ],
  "17 API key, password in errors, reports, logs of six calls": [
    "integration/neon/key",
    "API key, password in errors, reports, logs of six calls are redacted",
  ],
};

test.each(Object.entries(TRAPS))("the trap has a test of its name: %s", (_trap, [file, title]) => {
  const source = readFileSync(`tests/${file}.test.ts`, "utf8");

  expect(source).toMatch(new RegExp(`(?:test|describe|\\))\\(\\s*"${escaped(title)}`));
});

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
