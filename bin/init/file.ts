import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve } from "node:path";
import { MigratorError, toError } from "../../lib/errors.ts";
import { asRecord, asText, parseJson } from "../../lib/json.ts";
import type { DatabaseOptions } from "../database.ts";
import type { Project } from "../project.ts";
import { diffLines } from "./diff.ts";
import type { Facts } from "./facts.ts";
import type { Findings } from "./findings.ts";
import { type Names, namesOf } from "./names.ts";
import { packageManagerOf } from "./package-manager.ts";
import { shellWord, snippetFor } from "./snippet.ts";
import type { Tool } from "./tools.ts";

/** The options of `init`. */
export interface InitOptions extends DatabaseOptions {
  readonly for?: Tool;
  readonly out?: string;
  readonly name?: string;
  readonly yes: boolean;
}

/** The file for a tool, and what became of it. */
export interface InitFile {
  readonly tool: Tool;
  /** Seen from the working directory. */
  readonly path: string;
  readonly content: string;
  /** The lines that differ from the file that is there, marked with `+` or `-`. */
  readonly diff: readonly string[];
  /** The file before: none, the same, or another one. */
  readonly before: "none" | "same" | "other";
  readonly written: boolean;
  /** A name that is free, where the file is another one; else null. */
  readonly free: string | null;
}

/**
 * Makes the file for a tool, and writes it with `--yes`. A file that exists already with other content is replaced only
 * where `--out` names it.
 * @throws MigratorError `CONFIG_INVALID` for a name or a path that cannot be taken
 */
export function makeFile(
  tool: Tool,
  findings: Findings,
  project: Project,
  { out, name, yes, ...options }: InitOptions,
): InitFile {
  const names = checkedNames(name ?? findings.name);
  const facts = factsOf(findings, project, names, options);
  const [usual, other] = usualFiles(tool, facts, findings);
  const named = out === undefined ? usual : slashed(relative(process.cwd(), resolve(out)));
  const make = (path: string): InitFile => {
    const own = { ...facts, hasProviders: tool === "terraform" && hasProviders(path) };
    const content = snippetFor(tool, own, path);
    const there = read(path);
    const before = there === null ? "none" : there === content ? "same" : "other";
    const free = before === "other" && !existsSync(other) ? other : null;
    const diff = diffLines(there, content);
    return { ...{ tool, path, content, diff, before, free }, written: false };
  };
  const file = make(named);
  if (!yes || file.before === "same" || (file.before === "other" && out === undefined)) return file;
  write(file);
  return { ...file, written: true };
}

function write({ path, content, before }: InitFile): void {
  try {
    mkdirSync(dirname(resolve(path)), { recursive: true });
    // A file that has appeared since is not the one of the diff.
    writeFileSync(path, content, { flag: before === "none" ? "wx" : "w" });
  } catch (thrown) {
    const reason = toError(thrown).message;
    throw new MigratorError(
      "CONFIG_INVALID",
      `${path} cannot be written: ${reason}. Name another file with --out.`,
    );
  }
}

function checkedNames(name: string): Names {
  const names = namesOf(name);
  if (names !== null) return names;
  throw new MigratorError(
    "CONFIG_INVALID",
    `The name ${JSON.stringify(name)} has no letter that every tool takes. Give another with --name, of a to z, 0 to 9 and hyphens.`,
  );
}

function factsOf(
  { folder, tools }: Findings,
  { environment }: Project,
  names: Names,
  options: Pick<InitOptions, "config" | "folder">,
): Facts {
  const cwd = process.cwd();
  const set = (name: string) => environment[name]?.trim() || null;
  const variables = ["LEDGER_SCHEMA", "LEDGER_TABLE", "DATABASE_URL_SECRET_FIELD"].flatMap(
    (name) => {
      const value = set(name);
      return value === null ? [] : [[name, value] as const];
    },
  );
  const secret = set("DATABASE_URL_SECRET");
  const region = set("AWS_REGION");
  return {
    ...{ names, variables: Object.fromEntries(variables), flags: flagsOf(options) },
    folder: posix.normalize(slashed(folder)),
    appFolder: tools.find(({ tool }) => tool === "cdk")?.folder ?? "",
    secret: secret ?? `${names.plain}/database-url`,
    parameter: secret === null ? set("DATABASE_URL_PARAMETER") : null,
    region: region !== null && /^[a-z0-9-]+$/.test(region) ? region : null,
    branch: branchOf(cwd),
    hasDeploy: hasDeploy(cwd),
    packages: packageManagerOf(cwd),
    hasProviders: false,
  };
}

function flagsOf({ config, folder }: Pick<InitOptions, "config" | "folder">): string {
  return [
    ...(config === false ? [" --no-config"] : []),
    ...(typeof config === "string" ? [` --config ${shellWord(config)}`] : []),
    ...(folder === undefined ? [] : [` --folder ${shellWord(folder)}`]),
  ].join("");
}

/** Returns the file that a tool looks for, and a name beside it. */
function usualFiles(
  tool: Tool,
  { appFolder }: Facts,
  { tools }: Findings,
): readonly [string, string] {
  const folder = tools.find((each) => each.tool === tool)?.folder ?? "";
  const inFolder = (...files: readonly [string, string]) =>
    [posix.join(folder, files[0]), posix.join(folder, files[1])] as const;
  if (tool === "cdk") {
    const lib = existsSync(posix.join(appFolder, "lib")) ? "lib/" : "";
    return inFolder(`${lib}migrations.ts`, `${lib}neon-migrations.ts`);
  }
  if (tool === "terraform") return inFolder("migrations.tf", "neon-migrations.tf");
  if (tool === "sam") return inFolder("template.yaml", "migrations.yaml");
  // These two see the asset from the folder of their file.
  if (tool === "sst") return ["sst.config.ts", "sst.migrations.config.ts"];
  if (tool === "serverless") return ["serverless.yml", "serverless.migrations.yml"];
  return [".github/workflows/migrations.yml", ".github/workflows/neon-migrations.yml"];
}

function hasProviders(path: string): boolean {
  const folder = dirname(resolve(path));
  if (!existsSync(folder)) return false;
  return readdirSync(folder, { withFileTypes: true })
    .filter((each) => each.isFile() && each.name.endsWith(".tf"))
    .filter(({ name }) => join(folder, name) !== resolve(path))
    .some(({ name }) => readFileSync(join(folder, name), "utf8").includes("required_providers"));
}

function read(path: string): string | null {
  if (!existsSync(path)) return null;
  if (statSync(path).isFile()) return readFileSync(path, "utf8");
  throw new MigratorError(
    "CONFIG_INVALID",
    `${path} is not a file. Name the file to write with --out.`,
  );
}

/** The branch that a clone begins with. */
function branchOf(cwd: string): string {
  const head = read(join(cwd, ".git/refs/remotes/origin/HEAD")) ?? "";
  return /^ref: refs\/remotes\/origin\/(\S+)/.exec(head)?.[1] ?? "main";
}

function hasDeploy(cwd: string): boolean {
  const manifest = parseJson(read(join(cwd, "package.json")) ?? "");
  return asText(asRecord(asRecord(manifest).scripts).deploy) !== "";
}

function slashed(path: string): string {
  return path.replaceAll("\\", "/");
}
