import { execFile } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { cp, mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The compiler's program, and the words by which Node runs TypeScript. */
export const TSC: string = resolve("node_modules/typescript/bin/tsc");
const TSX = ["--import", resolve("node_modules/tsx/dist/loader.mjs")];

/**
 * Installs the package as it is published, with what npm would install with it.
 * @param source a folder to pack it in
 * @param app the folder of a project
 */
export async function installPackage(source: string, app: string): Promise<void> {
  await mkdir(source);
  await cp("package.json", join(source, "package.json"));
  for (const folder of ["docs", "infra/examples"]) {
    await cp(folder, join(source, folder), { recursive: true });
  }
  for (const file of ["README.md", "infra/fleet.asl.json"]) await cp(file, join(source, file));
  await build(join(source, "dist"));
  await run(process.execPath, [...TSX, resolve("build/manifest.ts"), "strip"], { cwd: source });
  await run("npm", ["pack", "--ignore-scripts", "--offline"], { cwd: source });
  const [tarball = ""] = (await readdir(source)).filter((name) => name.endsWith(".tgz"));
  const installed = join(app, "node_modules", "neon-lambda-migrator");
  await mkdir(installed, { recursive: true });
  await run("tar", ["-xzf", join(source, tarball), "--strip-components=1", "-C", installed]);
  const { dependencies } = JSON.parse(await readFile("package.json", "utf8"));
  const names = Object.keys(dependencies).map((each) => each.split("/", 1)[0] ?? each);
  await linkPackages(app, ...new Set(names));
  const programs = join(app, "node_modules", ".bin");
  await mkdir(programs);
  const { bin } = JSON.parse(await readFile("package.json", "utf8"));
  for (const [name, path] of Object.entries<string>(bin)) {
    await symlink(join(installed, path), join(programs, name));
  }
}

/** What `npm ci` has built will do, unless a source is newer. The handler is tried elsewhere: any will do. */
async function build(dist: string): Promise<void> {
  const sources = ["bin", "infra", "lib"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  );
  const timeOf = (path: string) => statSync(path).mtimeMs;
  const built = timeOf("dist/infra/neon-migrations.js");
  if ([...sources, "tsconfig.build.json"].every((path) => timeOf(path) < built)) {
    await cp("dist", dist, { recursive: true });
    return;
  }
  await cp("dist/lambda", join(dist, "lambda"), { recursive: true });
  await run(process.execPath, [TSC, "-p", "tsconfig.build.json", "--outDir", dist]);
  await run(process.execPath, [...TSX, "build/package-main.ts", dist]);
}

/** Installs packages of this repository in an app, as links. A scope alone is linked as a whole. */
export async function linkPackages(app: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const link = join(app, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(resolve("node_modules", name), link);
  }
}
