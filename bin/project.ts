import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { MigratorError } from "../lib/errors.ts";
import { type EnvFile, loadEnvFiles } from "../lib/project/env-files.ts";
import { CONFIG_NAMES } from "../lib/project/names.ts";
import { otherConfigs, type ProjectConfig, readProjectConfig } from "../lib/project/project.ts";
import { oneLine } from "../lib/text.ts";
import { errorColors } from "./print.ts";
import { type SettingFlags, type Settled, settle } from "./settle.ts";

/** The options by which a command line names the files of settings, and overrides what they say. */
export interface ProjectOptions extends SettingFlags {
  /** The drizzle.config file; false: none. Default: that of the working directory, else the one beside `folder`. */
  readonly config?: string | false;
  /** The files of variables. Default: `.env` of the working directory, if it is there. */
  readonly envFile?: readonly string[];
  readonly json: boolean;
  /** Whether nothing is said of the files that were read. */
  readonly quiet?: boolean;
}

/** The settings of a command line, after its flags, the environment and the project's files. */
export interface Project extends Settled {
  /** Null where there is no drizzle.config file, or none was to be read. */
  readonly config: ProjectConfig | null;
  readonly envFiles: readonly EnvFile[];
  /** Says what the drizzle.config file has to do with a setting that nothing names. */
  readonly searched: (setting: string) => string;
}

/**
 * Reads the project's files, `.env` into the environment of this process, and says so on standard error.
 * @param asksDatabase whether the command goes to a database
 * @param mayLackFolder whether a folder that is not there is no failure yet
 * @throws MigratorError `CONFIG_INVALID`, `PROJECT_CONFIG_INVALID`; `FOLDER_NOT_FOUND` for a folder that is not there and
 *   that no flag names
 */
export async function readProject(
  options: ProjectOptions,
  asksDatabase: boolean,
  { mayLackFolder = false }: { readonly mayLackFolder?: boolean } = {},
): Promise<Project> {
  const { config: named, envFile = [], json, quiet = false } = options;
  const [cwd, environment] = [process.cwd(), process.env];
  const envFiles = loadEnvFiles(cwd, envFile, environment);
  const config =
    named === false
      ? null
      : await readProjectConfig({
          ...{ cwd, named: named ?? besideFolder(cwd, options.folder), environment },
          onWait: (seconds) => {
            if (!json && !quiet) say(`Still reading the drizzle.config file, ${seconds} s so far.`);
          },
        });
  const settled = settle(options, { environment, envFiles, config });
  const project = { ...settled, config, envFiles, searched: searchIn(cwd, named, config) };
  if (!json && !quiet) sayFiles(project, asksDatabase);
  const isMissing = options.folder === undefined && !existsSync(project.folder);
  if (isMissing && !mayLackFolder) throw folderNotFound(project);
  return project;
}

/**
 * Returns the config file that lies beside the folder of a flag, where the working directory has none: its ledger is that of
 * these migrations.
 */
function besideFolder(cwd: string, folder: string | undefined): string | undefined {
  if (folder === undefined || CONFIG_NAMES.some((each) => existsSync(join(cwd, each)))) return;
  const home = dirname(folder);
  return CONFIG_NAMES.map((each) => join(home, each)).find((each) =>
    existsSync(resolve(cwd, each)),
  );
}

function searchIn(
  cwd: string,
  named: string | false | undefined,
  config: ProjectConfig | null,
): Project["searched"] {
  if (config !== null) return (setting) => `${config.file} has no ${setting}.`;
  if (named === false) return () => "No drizzle.config file was read (--no-config).";
  const others = otherConfigs(cwd);
  const hint = others.length === 0 ? "" : ` Name ${others.join(" or ")} with --config.`;
  return () => `${cwd} has none of ${CONFIG_NAMES.join(", ")}.${hint}`;
}

/** Makes the error for a folder that is not there and that no flag names. */
export function folderNotFound({ folder, config, fromConfig, searched }: Project): MigratorError {
  const [source, wayOut] = fromConfig.folder
    ? [
        `${config?.file} names it as out.`,
        "Run drizzle-kit generate, or name another with --folder.",
      ]
    : [
        `That is the default. ${searched("out")}`,
        "Name the folder that drizzle-kit generates into with --folder.",
      ];
  return new MigratorError(
    "FOLDER_NOT_FOUND",
    `The migrations folder ${folder} does not exist in ${process.cwd()}. ${source} ${wayOut}`,
  );
}

/** The variables that mean something to the command line. Others in the files are not worth a word. */
const VARIABLE = /^(?:DATABASE_URL|LEDGER_|NEON_WS_PROXY$|CONNECT_TIMEOUT_MS$)/;

function sayFiles(project: Project, asksDatabase: boolean): void {
  const { config, envFiles } = project;
  const files = [
    ...(config === null ? [] : [`${config.file}${listed(usesOf(project, asksDatabase))}`]),
    ...envFiles.map(
      ({ file, names }) => `${file}${listed(names.filter((name) => VARIABLE.test(name)))}`,
    ),
  ];
  if (files.length > 0) say(`Read ${files.join(" and ")}.`);
}

function usesOf({ folder, ledger, origin, fromConfig }: Project, asksDatabase: boolean) {
  const database = asksDatabase ? fromConfig.database : "none";
  return [
    ...(fromConfig.folder ? [`folder ${folder}`] : []),
    ...(fromConfig.ledger ? [`ledger ${ledger.schema}.${ledger.table}`] : []),
    ...(database === "used" ? ["database"] : []),
    ...(database === "overridden" ? [`database overridden by ${origin}`] : []),
  ];
}

function listed(words: readonly string[]): string {
  return words.length === 0 ? "" : ` (${words.join(", ")})`;
}

function say(text: string): void {
  console.error(errorColors().dim(oneLine(text)));
}
