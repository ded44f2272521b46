import { execFile } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix, relative, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** Each folder, and the folders that it may import beside the files of `lib/` itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  "lib/postgres": [],
  "lib/bundle": ["lib/postgres"],
  "lib/target": [],
  "lib/project": [],
  "lib/neon": [],
  "lib/rehearsal": [
    "lib/migrate",
    "lib/report",
    "lib/execute",
    "lib/connection",
    "lib/neon",
    "lib/target",
    "lib/bundle",
    "lib/postgres",
  ],
  "lib/fleet": [
    "lib/rehearsal",
    "lib/migrate",
    "lib/report",
    "lib/connection",
    "lib/neon",
    "lib/target",
    "lib/bundle",
  ],
  "lib/restore": [
    "lib/history",
    "lib/ledger",
    "lib/connection",
    "lib/neon",
    "lib/target",
    "lib/postgres",
  ],
  "lib/compile/sql": ["lib/bundle", "lib/postgres"],
  "lib/compile/check": ["lib/compile/check/rules", "lib/compile/sql", "lib/bundle", "lib/postgres"],
  "lib/compile/check/rules": ["lib/compile/check", "lib/compile/sql", "lib/bundle", "lib/postgres"],
  "lib/compile": [
    "lib/compile/check",
    "lib/compile/check/rules",
    "lib/compile/sql",
    "lib/bundle",
    "lib/postgres",
  ],
  "lib/connection": ["lib/target", "lib/postgres"],
  "lib/ledger": ["lib/connection", "lib/target", "lib/bundle", "lib/postgres"],
  "lib/history": ["lib/ledger", "lib/connection", "lib/target", "lib/bundle", "lib/postgres"],
  "lib/plan": ["lib/ledger", "lib/bundle", "lib/postgres"],
  "lib/grade": ["lib/plan", "lib/connection", "lib/bundle", "lib/postgres"],
  "lib/execute": [
    "lib/plan",
    "lib/history",
    "lib/ledger",
    "lib/connection",
    "lib/target",
    "lib/bundle",
    "lib/postgres",
  ],
  "lib/report": [
    "lib/execute",
    "lib/plan",
    "lib/history",
    "lib/ledger",
    "lib/connection",
    "lib/target",
    "lib/bundle",
    "lib/postgres",
  ],
  "lib/page": ["lib/fleet", "lib/report", "lib/history", "lib/bundle", "lib/postgres"],
  "lib/migrate": [
    "lib/report",
    "lib/execute",
    "lib/grade",
    "lib/plan",
    "lib/history",
    "lib/ledger",
    "lib/connection",
    "lib/target",
    "lib/bundle",
  ],
  "lib/amend": [
    "lib/execute",
    "lib/plan",
    "lib/ledger",
    "lib/connection",
    "lib/target",
    "lib/compile/sql",
    "lib/bundle",
    "lib/postgres",
  ],
  "lib/queued-runs": [
    "lib/migrate",
    "lib/report",
    "lib/ledger",
    "lib/connection",
    "lib/target",
    "lib/postgres",
  ],
  "lib/events": ["lib/events/http", "lib/queued-runs", "lib/fleet", "lib/migrate", "lib/report"],
  "lib/events/http": ["lib/events", "lib/queued-runs", "lib/migrate", "lib/page", "lib/report"],
  "lib/handler": [
    "lib/fleet",
    "lib/rehearsal",
    "lib/events",
    "lib/events/http",
    "lib/migrate",
    "lib/report",
    "lib/target",
    "lib/bundle",
  ],
  functions: ["lib/handler", "lib/bundle"],
  bin: [],
  "bin/check": [],
  infra: [],
  "infra/example": [],
  build: [],
  local: ["build"],
  "local/relay": ["build"],
};

/** Folders that belong to one of the above and may be imported by some of them. */
const OTHERS = ["tests/setup", "bench/speed"];

/** These see all of `lib/`, and each the rest of its own folder. */
const ABOVE_LIB = ["bin", "infra", "build", "local"];

let scratch: string;
let complaints: ReadonlySet<string>;

beforeAll(async () => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "house-")));
  const config = JSON.parse(readFileSync("biome.json", "utf8"));
  write("biome.json", JSON.stringify({ ...config, vcs: { enabled: false } }));
  for (const folder of Object.keys(MAY_IMPORT)) {
    write(`${folder}/wrong.ts`, importsOf(folder, wrongFor(folder)));
    write(`${folder}/right.ts`, importsOf(folder, rightFor(folder)));
    write(`${folder}/driver.ts`, 'import "@neondatabase/serverless";\n');
    write(`${folder}/one.ts`, circleWith("two"));
    write(`${folder}/two.ts`, circleWith("one"));
  }
  complaints = await lint();
}, 60_000);

afterAll(() => rmSync(scratch, { recursive: true }));

describe.each(Object.keys(MAY_IMPORT))("%s", (folder) => {
  test("is refused every import that its row does not name", () => {
    const wrong = wrongFor(folder).map((_, index) => `${folder}/wrong.ts:${index + 1}`);

    expect(wrong.length).toBeGreaterThan(3);
    expect(wrong.filter((line) => !complaints.has(line))).toEqual([]);
  });

  test("is allowed what its row names, its own files, and the files of lib/ itself", () => {
    const right = [...complaints].filter((line) => line.startsWith(`${folder}/right.ts:`));

    expect(rightFor(folder)).not.toEqual([]);
    expect(right).toEqual([]);
  });

  test("may have no circle, not even of types", () => {
    expect(complaints).toContain(`${folder}/one.ts:1`);
    expect(complaints).toContain(`${folder}/two.ts:1`);
  });

  test("may import the driver only if it is lib/connection", () => {
    expect(complaints.has(`${folder}/driver.ts:1`)).toBe(folder !== "lib/connection");
  });
});

test("every folder that holds code has its row", () => {
  const rows = Object.keys(MAY_IMPORT);
  const covered = (folder: string) =>
    rows.includes(folder) || ABOVE_LIB.includes(folder.split("/")[0] ?? "");

  const folders = ["lib", "functions", ...ABOVE_LIB].flatMap(foldersWithCode);

  expect(folders.length).toBeGreaterThan(30);
  expect(folders.filter((folder) => !covered(folder))).toEqual([]);
});

function foldersWithCode(top: string): readonly string[] {
  const files = readdirSync(top, { recursive: true, encoding: "utf8" });
  const folders = files.filter((file) => file.endsWith(".ts")).map((file) => dirname(file));
  return [...new Set(folders)].map((folder) => posix.join(top, folder));
}

function rightFor(folder: string): readonly string[] {
  const [top = ""] = folder.split("/");
  const lib = Object.keys(MAY_IMPORT).filter((each) => each.startsWith("lib/"));
  const allowed = MAY_IMPORT[folder] ?? [];
  const own = Object.keys(MAY_IMPORT).filter((each) => each.split("/")[0] === top);
  const above = ABOVE_LIB.includes(top) ? [...lib, ...own] : [];
  const ground = folder === "lib/postgres" ? [] : ["lib"];
  return [...new Set([folder, ...allowed, ...above, ...ground])];
}

function wrongFor(folder: string): readonly string[] {
  const right = rightFor(folder);
  return [...Object.keys(MAY_IMPORT), ...OTHERS].filter((each) => !right.includes(each));
}

/** One line for each folder; types, values and what is loaded on use take turns. */
function importsOf(folder: string, targets: readonly string[]): string {
  const lines = targets.map((target, index) => {
    const path = posix.relative(folder, `${target}/some-file.ts`);
    const specifier = JSON.stringify(path.startsWith(".") ? path : `./${path}`);
    if (index % 3 === 0) return `import type { Type${index} } from ${specifier};`;
    if (index % 3 === 1) return `import { value${index} } from ${specifier};`;
    return `await import(${specifier});`;
  });
  return `${lines.join("\n")}\n`;
}

function circleWith(other: string): string {
  return `import type { Type as Other } from "./${other}.ts";\n\nexport type Type = Other | null;\n`;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(scratch, path)), { recursive: true });
  writeFileSync(join(scratch, path), text);
}

/** Where Biome complains, as `file:line`. */
async function lint(): Promise<ReadonlySet<string>> {
  const rules = ["style/noRestrictedImports", "suspicious/noImportCycles"];
  const words = [
    ...["lint", "--reporter=github", "--max-diagnostics=none"],
    ...rules.map((rule) => `--only=${rule}`),
  ];
  const output = await new Promise<string>((done) => {
    const options = { cwd: scratch, maxBuffer: 64 * 1024 * 1024 };
    // It ends with 1, because it finds what it is to find.
    execFile(resolve("node_modules/.bin/biome"), words, options, (_, stdout) => done(stdout));
  });
  const places = output.matchAll(/^::error .*?file=([^,]+),line=(\d+),/gm);
  return new Set(Array.from(places, ([, file = "", line]) => `${relative(scratch, file)}:${line}`));
}
