import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { MigratorError } from "../../lib/errors.ts";
import { packageRoot } from "../../lib/package-root.ts";
import type { Scratch } from "./scratch.ts";

/** The CDK of a project. */
export interface Cdk {
  /** The words that start its command line. */
  readonly command: readonly [string, ...string[]];
  /** Its place, for a reader. */
  readonly place: string;
}

/** The end of one command of CDK. */
export interface CdkEnd {
  readonly exitCode: number | null;
  /** All that was printed, without colours. */
  readonly output: string;
  /** The outputs of the stack; none where it was not deployed. */
  readonly outputs: Readonly<Record<string, string>>;
}

const INSTALL = "npm install --save-dev aws-cdk@2 aws-cdk-lib@2 constructs@10";

/**
 * Finds CDK's command line as `npx` does: among the packages of a folder or one above it, then on the PATH.
 * @throws MigratorError `CDK_MISSING`, also where the library that the app needs is not there
 */
export function findCdk(cwd: string, path: string): Cdk {
  const found = installed(cwd, cwd) ?? onPath(path);
  if (found === null) {
    throw missing(`aws-cdk is neither in node_modules of ${cwd} or above, nor on the PATH`);
  }
  for (const library of ["aws-cdk-lib", "constructs"]) {
    try {
      createRequire(appPath()).resolve(library);
    } catch (cause) {
      throw missing(`this package does not find ${library}`, cause);
    }
  }
  return found;
}

function missing(what: string, cause?: unknown): MigratorError {
  const message = `The smoke test deploys with the CDK of your project, and ${what}. Nothing was made. Install it: ${INSTALL}`;
  return new MigratorError("CDK_MISSING", message, { cause });
}

function installed(cwd: string, folder: string): Cdk | null {
  const place = join(folder, "node_modules/aws-cdk");
  const program = join(place, "bin/cdk");
  if (existsSync(program)) {
    return { command: [process.execPath, program], place: relative(cwd, place) };
  }
  return dirname(folder) === folder ? null : installed(cwd, dirname(folder));
}

function onPath(path: string): Cdk | null {
  const places = path.split(delimiter).filter((each) => each !== "");
  const place = places.map((each) => join(each, "cdk")).find((each) => existsSync(each));
  return place === undefined ? null : { command: [place], place };
}

/** The app is started by CDK, so it is a file of the package and no module of the command line. */
function appPath(): string {
  return join(packageRoot(), "dist/infra/smoke/app.js");
}

/** The words of each command beside the app. They overrule what a cdk.json may say. */
const WORDS = {
  deploy: ["--require-approval", "never", "--rollback", "--progress", "events"],
  destroy: ["--force"],
};

/**
 * Runs a command of CDK on the one stack of the app, in the working directory, whose cdk.json may name a qualifier or a
 * permissions boundary of the account. A Ctrl-C of the terminal does not reach it.
 * @param onLine gets each line that is printed
 */
export async function runCdk(
  { command: [program, ...words] }: Cdk,
  verb: keyof typeof WORDS,
  { folder, settings }: Pick<Scratch, "folder" | "settings">,
  onLine: (line: string) => void,
): Promise<CdkEnd> {
  const assembly = join(folder, "cdk.out");
  const outputsFile = join(folder, "outputs.json");
  // CDK takes the quotes away from a text that begins and ends with one.
  const made = `node "${appPath()}" "${settings}"`;
  const files = {
    deploy: ["--app", made, "--output", assembly, "--outputs-file", outputsFile],
    destroy: existsSync(join(assembly, "manifest.json"))
      ? ["--app", assembly]
      : ["--app", made, "--output", assembly],
  };
  const child = spawn(program, [...words, verb, "--all", ...files[verb], ...WORDS[verb]], {
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", CDK_DISABLE_VERSION_CHECK: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (text) => {
      const line = stripVTControlCharacters(text);
      lines.push(line);
      onLine(line);
    });
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  const isDeployed = exitCode === 0 && verb === "deploy";
  const [outputs = {}] = isDeployed
    ? Object.values<CdkEnd["outputs"]>(JSON.parse(readFileSync(outputsFile, "utf8")))
    : [];
  return { exitCode, output: lines.join("\n"), outputs };
}
