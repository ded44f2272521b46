import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { writeAsset } from "../../../lib/compile/asset.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";

const before = process.umask();
const NAMES = ["index.mjs", "part-a.mjs", "bundle.json", "migrations.jsonl"];

const folders: string[] = [];

afterEach(() => {
  process.umask(before);
  for (const each of folders.splice(0)) rmSync(each, { recursive: true, force: true });
});

async function build(umask: number): Promise<string> {
  process.umask(umask);
  const root = mkdtempSync(join(tmpdir(), "neon-asset-"));
  folders.push(root);
  const handler = join(root, "handler");
  mkdirSync(handler);
  for (const name of NAMES.slice(0, 2)) writeFileSync(join(handler, name), "export {};\n");
  const bundle = await compileBundle("tests/fixtures/folders/good");
  await writeAsset(bundle, join(root, "out"), handler);
  return join(root, "out");
}

test.each([0o077, 0o027, 0o002, 0o022, 0o000])(
  "everybody can read the asset of a build under umask %o, and its bytes are the same",
  async (umask) => {
    const out = await build(umask);
    const usual = await build(0o022);

    expect(NAMES.map((name) => statSync(join(out, name)).mode & 0o777)).toEqual(
      NAMES.map(() => 0o644),
    );
    expect(NAMES.map((name) => readFileSync(join(out, name), "utf8"))).toEqual(
      NAMES.map((name) => readFileSync(join(usual, name), "utf8")),
    );
  },
);
