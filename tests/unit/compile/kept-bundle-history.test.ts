import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";

const TEXT = 'CREATE TABLE "a" ("id" int);\n';

let scratch = "";
let repository = "";

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "kept-history-"));
  repository = join(scratch, "repository");
  mkdirSync(repository);
  write(TEXT);
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function write(sql: string): void {
  writeJournaledFolder(join(repository, "drizzle"), [
    { tag: "0000_init", when: 1_700_000_000_000, sql },
  ]);
}

function git(folder: string, ...words: readonly string[]): void {
  const identity = [
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@example.com",
    "-c",
    "commit.gpgsign=false",
  ];
  execFileSync("git", ["-C", folder, ...identity, ...words], { stdio: "ignore" });
}

function commit(sql: string): void {
  write(sql);
  git(repository, "add", ".");
  git(repository, "commit", "-q", "-m", "change");
}

async function sameAs(root: string, cache: string | null = join(scratch, "cache")) {
  const { migrations } = await compileBundle(join(root, "drizzle"), { cache });
  return migrations[0]?.sameAs ?? [];
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

test("a commit makes the kept bundle anew, with the version that it adds", async () => {
  const outside = await sameAs(repository);
  git(repository, "init", "-q");
  commit(`-- one\n${TEXT}`);
  commit(TEXT);
  const first = await sameAs(repository);
  commit(`-- two\n${TEXT}`);
  commit(TEXT);

  const second = await sameAs(repository);

  expect(outside).toEqual([]);
  expect(first).toContain(hashOf(`-- one\n${TEXT}`));
  expect(first).not.toContain(hashOf(`-- two\n${TEXT}`));
  expect(second).toContain(hashOf(`-- one\n${TEXT}`));
  expect(second).toContain(hashOf(`-- two\n${TEXT}`));
  expect(await sameAs(repository)).toEqual(await sameAs(repository, null));
});

test("the rest of a shallow clone's history makes the kept bundle anew", async () => {
  git(repository, "init", "-q");
  commit(`-- one\n${TEXT}`);
  commit(TEXT);
  const clone = join(scratch, "clone");
  git(scratch, "clone", "-q", "--depth", "1", `file://${repository}`, clone);
  const shallow = await sameAs(clone);
  git(clone, "fetch", "-q", "--unshallow");

  const whole = await sameAs(clone);

  expect(shallow).toEqual([]);
  expect(whole).toContain(hashOf(`-- one\n${TEXT}`));
});

test("a bundle whose history git did not tell is not kept", async () => {
  git(repository, "init", "-q");
  commit(`-- one\n${TEXT}`);
  commit(TEXT);
  const cache = join(scratch, "cache");
  // The commit is known, and what it holds is not.
  for (const folder of readdirSync(join(repository, ".git", "objects"))) {
    if (/^[0-9a-f]{2}$/.test(folder)) {
      rmSync(join(repository, ".git", "objects", folder), { recursive: true });
    }
  }

  const bundle = await sameAs(repository, cache);

  expect(bundle).toEqual([]);
  expect(readFileSync(join(repository, ".git", "HEAD"), "utf8")).toMatch(/^ref: /);
  expect(() => readdirSync(cache)).toThrow("ENOENT");
});
