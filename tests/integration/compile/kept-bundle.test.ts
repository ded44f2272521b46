import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runProgram } from "../../setup/run-program.ts";

const MODULE = pathToFileURL("lib/compile/kept-bundle.ts").href;

/** Keeps two bundles in turn at the same place, and reads each: it must be whole, or none. */
const PROGRAM = `
const [module, cache, rounds] = process.argv.slice(1);
const { keep, readKept } = await import(module);
const contents = ["a", "b"].map((name) => {
  const files = [{ tag: "0000_x", when: 1, hash: name, sql: name, path: name }];
  const statements = Array.from({ length: 20_000 }, (_, start) => ({ start, kind: name }));
  const migrations = [{ tag: "0000_x", name: "1970_x", when: 1, hash: name, sql: name, statements, findings: [] }];
  return { files, place: { path: cache + "/one.json", key: name }, made: { hash: name, contentHash: name, migrations } };
});
let read = 0;
let wrong = 0;
for (let round = 0; round < Number(rounds); round += 1) {
  for (const { place, made } of contents) {
    keep(place, made);
    for (const each of contents) {
      const kept = readKept(each.place, { layout: "0.x", files: each.files });
      if (kept === null) continue;
      read += 1;
      const { statements } = kept.migrations[0];
      if (kept.hash !== each.place.key || statements.length !== 20_000 || statements.some(({ kind }) => kind !== each.place.key)) wrong += 1;
    }
  }
  if (round === 0) console.error("begun");
}
console.log(JSON.stringify({ read, wrong }));
`;

let cache = "";

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "kept-bundle-"));
});

afterEach(() => rmSync(cache, { recursive: true, force: true }));

function words(rounds: number): readonly string[] {
  const node = ["--import", "tsx", "--input-type=module", "--eval", PROGRAM];
  return [...node, MODULE, cache, String(rounds)];
}

async function writer(rounds: number): Promise<{ readonly read: number; readonly wrong: number }> {
  const { output } = await runProgram(process.execPath, words(rounds), {
    ...{ cwd: process.cwd(), env: process.env },
  });
  return JSON.parse(output.replace("begun\n", ""));
}

/** Writes until it is killed, which comes in the middle of something. */
function killedWriter(): Promise<void> {
  const child = spawn(process.execPath, words(1_000_000), { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.once("data", () => child.kill("SIGKILL"));
  return new Promise((resolve) => {
    child.on("close", () => resolve());
  });
}

test("processes that write the same file at once, and one that is killed, leave whole bundles only", async () => {
  const ended = await Promise.all([writer(15), writer(15), writer(15), killedWriter()]);

  const told = ended.flatMap((each) => each ?? []);
  expect(told.map(({ wrong }) => wrong)).toEqual([0, 0, 0]);
  for (const { read } of told) expect(read).toBeGreaterThan(0);
  expect(readdirSync(cache)).toContain("one.json");
  expect(await writer(1)).toMatchObject({ wrong: 0 });
});
