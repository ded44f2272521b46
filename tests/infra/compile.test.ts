import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { App, Annotations as CdkAnnotations, type Stack, Token } from "aws-cdk-lib";
import { Annotations, Match } from "aws-cdk-lib/assertions";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { compileFolder } from "../../infra/compile.ts";
import type { CheckOptions, NeonMigrationsProps } from "../../infra/neon-migrations.ts";
import { writeJournaledFolder } from "../setup/folders.ts";
import { scene } from "../setup/synthesis.ts";

const scratch = mkdtempSync(join(tmpdir(), "compile-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A copy of the example's folder, changed. */
function folderWith(name: string, change: (folder: string) => void = () => undefined): string {
  const folder = join(scratch, name, "drizzle");
  cpSync("drizzle", folder, { recursive: true });
  change(folder);
  return folder;
}

/** A copy of the example's folder whose files were made in the opposite order, with other modes. */
function backwards(name: string): string {
  const folder = join(scratch, name, "drizzle");
  mkdirSync(join(folder, "meta"), { recursive: true });
  for (const file of readdirSync("drizzle", { recursive: true, encoding: "utf8" })
    .sort()
    .reverse()) {
    const from = join("drizzle", file);
    if (statSync(from).isFile()) writeFileSync(join(folder, file), readFileSync(from));
  }
  return folder;
}

function umask(mask: number): () => void {
  const before = process.umask(mask);
  return () => process.umask(before);
}

function setting(name: string, value: string): () => void {
  vi.stubEnv(name, value);
  return () => vi.unstubAllEnvs();
}

/** The files of the asset as a zip has them: names, modes, contents. */
function filesOf(folder: string): readonly unknown[] {
  const { asset } = compileFolder(scene().stack, { migrations: folder }, undefined);
  return readdirSync(asset)
    .sort()
    .map((name) => [
      name,
      statSync(join(asset, name)).mode,
      createHash("sha256")
        .update(readFileSync(join(asset, name)))
        .digest("hex"),
    ]);
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

/** What is deployed: the name of the asset, which is its hash, and the hash of the migrations. */
function deployed(migrations: string) {
  const { stack, migrations: construct } = scene({ migrations });
  const [asset] = new Set(
    Object.keys(
      JSON.parse(readFileSync(join(synthesised(stack), "Shop.assets.json"), "utf8")).files,
    ),
  );
  return { asset, hash: construct.migrationsHash };
}

function synthesised(stack: Stack): string {
  const app = stack.node.root;
  if (!(app instanceof App)) throw new Error("The stack is in no app.");
  return app.synth().directory;
}

describe("GIVEN the same migrations", () => {
  const first = deployed("drizzle");

  test("WHEN they lie elsewhere, newer, beside a note, with other snapshots and Windows ends in the journal THEN asset and hash are the same", () => {
    const moved = folderWith("moved", (folder) => {
      edit(join(folder, "meta", "_journal.json"), (text) => text.replaceAll("\n", "\r\n"));
      edit(join(folder, "meta", "0001_snapshot.json"), (text) => `${text}\n`);
      writeFileSync(join(folder, "README.md"), "# Migrations");
      utimesSync(join(folder, "0001_add_members.sql"), 1, 2);
    });

    expect(deployed(moved)).toEqual(first);
  });

  test.each<[string, () => () => void]>([
    ["umask 077", () => umask(0o077)],
    ["another time zone", () => setting("TZ", "Pacific/Kiritimati")],
    ["another language", () => setting("LC_ALL", "tr_TR.UTF-8")],
  ])(
    "WHEN they are made anew, the last file first, with %s THEN asset, modes and hash are the same",
    (name, change) => {
      const back = change();
      onTestFinished(back);
      const other = backwards(name);

      expect(deployed(other)).toEqual(first);
      expect(filesOf(other)).toEqual(filesOf("drizzle"));
    },
  );

  test.each<[string, (text: string) => string]>([
    ["another statement", (text) => `${text}\nSELECT 1;`],
    ["Windows line ends, as for Drizzle", (text) => text.replaceAll("\n", "\r\n")],
  ])("WHEN one has %s THEN asset and hash are others", (name, change) => {
    const changed = deployed(
      folderWith(name, (folder) => edit(join(folder, "0001_add_members.sql"), change)),
    );

    expect(changed.asset).not.toBe(first.asset);
    expect(changed.hash).not.toBe(first.hash);
  });

  test("WHEN they are synthesised again THEN they are not compiled again", () => {
    const scope = scene().stack;

    expect(compileFolder(scope, { migrations: "drizzle" }, undefined)).toBe(
      compileFolder(scope, { migrations: "drizzle" }, undefined),
    );
  });
});

/** Writes a folder of one migration. */
function folderOf(name: string, sql: string): string {
  const folder = join(scratch, name);
  writeJournaledFolder(folder, [{ tag: "0000_seed", sql, when: 1 }]);
  return folder;
}

/** Returns what Node prints of the error that a synth throws. */
function failureOf(props: Partial<NeonMigrationsProps>): string {
  try {
    scene(props);
  } catch (thrown) {
    return inspect(thrown);
  }
  throw new Error("The synth did not fail.");
}

describe("GIVEN a folder that does not compile", () => {
  test.each([
    [
      "SQL that PostgreSQL cannot read",
      "CREATE TABEL a ();",
      'SQL_INVALID PATH:1:8: syntax error at or near "TABEL". Correct this statement.\n\n1 | CREATE TABEL a ();\n  |        ^\n',
    ],
    [
      "a command of psql in its tenth line",
      `${"\n".repeat(9)}\\connect shop`,
      /^PSQL_ONLY PATH:10:1: .*\n\n10 \| \\connect shop\n {3}\| \^\n$/,
    ],
    [
      "a directive that does not exist",
      "SELECT 1;\n-- neon-migrate: alow all\nSELECT 2;",
      /^DIRECTIVE_INVALID PATH:2:\d+: .*\n\n2 \| -- neon-migrate: alow all\n {2}\| +\^\n$/,
    ],
    [
      "a two-phase commit",
      "PREPARE TRANSACTION 'a';",
      /^TWO_PHASE_COMMIT PATH:1:1: .*\n\n1 \| PREPARE TRANSACTION 'a';?\n$/,
    ],
    [
      "an SQL file with Windows' old letters",
      Buffer.from([0x53, 0xe4]),
      /^[A-Z_]+: PATH:1:2: [^\n]*$/,
    ],
  ])(
    "WHEN it has %s THEN a sentence, the place and the line is all that Node prints",
    (name, sql, expected) => {
      const folder = folderOf(name, "");
      const path = join(folder, "0000_seed.sql");
      writeFileSync(path, sql);

      const [message = "", ...frames] = failureOf({ migrations: folder }).split(/\n {4}at /);

      expect(message).toMatch(/^Error: Shop\/Migrations: /);
      expect(message.slice("Error: Shop/Migrations: ".length).replaceAll(path, "PATH")).toEqual(
        typeof expected === "string" ? expected : expect.stringMatching(expected),
      );
      expect(frames.join()).not.toMatch(/cause|stdout|compile\.ts:|node:/);
    },
  );

  test("WHEN there is none THEN the synth says so, and names the prop", () => {
    expect(failureOf({ migrations: "no/such/folder" })).toMatch(
      /^Error: Shop\/Migrations: FOLDER_NOT_FOUND: .*no\/such\/folder[^\n]*\n {4}at [^{]*$/,
    );
  });

  test("WHEN an app synthesises it THEN its whole output is this, and ends with its own line", () => {
    const folder = folderOf("app", "CREATE TABEL a ();");
    const { pathname } = new URL("../../infra/neon-migrations.ts", import.meta.url);
    const app = join(scratch, "app.mts");
    const text = `import { App, Stack } from ${JSON.stringify(import.meta.resolve("aws-cdk-lib"))};
import { NeonMigrations } from ${JSON.stringify(pathname)};
const stack = new Stack(new App(), "Shop");
new NeonMigrations(stack, "Migrations", { migrations: ${JSON.stringify(folder)} });`;
    writeFileSync(app, text);

    const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", app], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, TMPDIR: scratch },
    });

    expect(stdout).toBe("");
    const [before = "", printed = ""] = stderr.split(/(?=Error: )/);
    expect(before).not.toContain("infra");
    expect(printed.trimEnd().split("\n")).toEqual([
      `Error: Shop/Migrations: SQL_INVALID ${folder}/0000_seed.sql:1:8: syntax error at or near "TABEL". Correct this statement.`,
      "",
      "1 | CREATE TABEL a ();",
      "  |        ^",
      "",
      expect.stringMatching(/^ {4}at .*app\.mts:4:1\)?$/),
      "",
      `Node.js ${process.version}`,
    ]);
  });
});

describe("GIVEN migrations of 20 MB", () => {
  const large = folderWith("large", (folder) =>
    edit(join(folder, "0001_add_members.sql"), (text) => `${text}\n/* ${"x".repeat(20e6)} */`),
  );

  test.each([128, 185])(
    "WHEN the function has %i MB of memory THEN the synth fails",
    (memorySize) => {
      expect(() => scene({ migrations: large, memorySize })).toThrow(
        `Shop/Migrations: memorySize is ${memorySize} MB, and the function needs 186 MB for its bundle.`,
      );
    },
  );

  test.each([
    ["just enough", 186],
    ["what a parameter says", Token.asNumber({ Ref: "Memory" })],
    ["the default", undefined],
  ])("WHEN it has %s THEN the synth succeeds", (_name, memorySize) => {
    const props = memorySize === undefined ? {} : { memorySize };

    expect(() => scene({ migrations: large, ...props })).not.toThrow();
  });
});

describe("GIVEN migrations that the rules have something against", () => {
  const stackWith = (check?: CheckOptions | false) =>
    scene(check === undefined ? { check: {} } : { check }).stack;
  const all = { find: "/Shop/Migrations", any: Match.anyValue() };
  const textsOf = (found: readonly { readonly entry: { readonly data?: unknown } }[]) =>
    found.map(({ entry }) => String(entry.data));

  test("WHEN synthesised THEN each rule is one warning, with its newest place, and can be acknowledged", () => {
    const annotations = Annotations.fromStack(stackWith());
    const warnings = textsOf(annotations.findWarning(all.find, all.any));

    expect(
      warnings.map((text) => /\[ack: neon-lambda-migrator:([\w-]+)\]$/.exec(text)?.[1]),
    ).toEqual([
      "several-exclusive-locks",
      "foreign-key-without-not-valid",
      "not-null-without-check",
      "index-not-concurrent",
      "check-without-not-valid",
    ]);
    expect(warnings[3]).toMatch(
      /^drizzle\/0010_index_foreign_keys\.sql:2:1: .* And 2 more of this rule\. What to write instead: neon-migrate check --folder drizzle\./,
    );
    annotations.hasNoError(all.find, all.any);
  });

  test("WHEN a rule is acknowledged THEN it is silent, and the others are not", () => {
    const stack = stackWith();
    CdkAnnotations.of(stack).acknowledgeWarning("neon-lambda-migrator:index-not-concurrent");
    const warnings = textsOf(Annotations.fromStack(stack).findWarning(all.find, all.any));

    expect(warnings).toHaveLength(4);
    expect(warnings.join()).not.toContain("index-not-concurrent");
  });

  test("WHEN only new ones are of interest THEN the older ones are silent", () => {
    const annotations = Annotations.fromStack(stackWith({ since: "0009_isolate_accounts" }));

    expect(textsOf(annotations.findWarning(all.find, all.any))).toEqual([
      expect.stringContaining("neon-lambda-migrator:index-not-concurrent"),
    ]);
  });

  test("WHEN findings are to fail the synth THEN they are errors", () => {
    const annotations = Annotations.fromStack(stackWith({ failOn: "error" }));

    expect(textsOf(annotations.findError(all.find, all.any))).toEqual([
      expect.stringContaining("[foreign-key-without-not-valid]"),
      expect.stringContaining("[not-null-without-check]"),
      expect.stringContaining("[index-not-concurrent]"),
      expect.stringContaining("[check-without-not-valid]"),
    ]);
    expect(annotations.findWarning(all.find, all.any)).toHaveLength(1);
  });

  test("WHEN nobody wants to see them THEN there are none", () => {
    Annotations.fromStack(stackWith(false)).hasNoWarning(all.find, all.any);
  });

  test("WHEN it is not known since when THEN the synth fails and says what to name", () => {
    expect(() => stackWith({ since: "no-such-tag" })).toThrow(
      /Shop\/Migrations: REQUEST_INVALID: --since no-such-tag names no migration/,
    );
  });
});
