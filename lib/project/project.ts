/*
 * Project: the settings that a Drizzle project has already. A folder comes in, and the settings of its drizzle.config
 * file go out, and the variables of its .env files. Nothing here runs in Lambda, and nothing connects to a database.
 */

import { existsSync, readdirSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { invalidConfig } from "./errors.ts";
import { evaluateConfig } from "./evaluate.ts";
import { CONFIG_NAMES } from "./names.ts";
import { type ConfigDatabase, type ConfigLedger, parseConfig } from "./parse-config.ts";

/** The settings of a drizzle.config file that matter here. Those that it does not name are null. */
export interface ProjectConfig {
  /** The file's path as messages name it: seen from the working directory. */
  readonly file: string;
  /** The folder of the migrations (`out`), seen from the working directory. */
  readonly folder: string | null;
  readonly ledger: ConfigLedger;
  readonly database: ConfigDatabase | null;
}

/** The search for the file, and the evaluation of what was found. */
export interface ProjectOptions {
  /** The working directory. */
  readonly cwd: string;
  /** The file, if the caller names one. */
  readonly named: string | undefined;
  /** The variables that the file sees. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Called each time that the file has taken so much longer, with the time so far. */
  readonly onWait?: (seconds: number) => void;
  /** Longest time for the file. Default: a minute. */
  readonly limitMs?: number;
}

/**
 * Reads the drizzle.config file of a project.
 * @returns null where no file was named and none was found
 * @throws MigratorError `PROJECT_CONFIG_INVALID`; the message names the file, the reason and the way out
 */
export async function readProjectConfig(options: ProjectOptions): Promise<ProjectConfig | null> {
  const { cwd, named } = options;
  const name = named ?? CONFIG_NAMES.find((each) => existsSync(join(cwd, each)));
  if (name === undefined) return null;
  const path = resolve(cwd, name);
  const file = shown(cwd, path);
  if (!existsSync(path)) throw missing(file, cwd);
  const { out, ...rest } = parseConfig(file, await evaluateConfig(path, { ...options, file }));
  return { file, folder: out === null ? null : folderOf(out, cwd, dirname(path)), ...rest };
}

/** Returns the other config files of a folder, such as `drizzle.config.prod.ts` and `drizzle-prod.config.ts`. */
export function otherConfigs(cwd: string): readonly string[] {
  const pattern = /^drizzle(?:[.-][\w.-]+)?\.[cm]?[jt]s(?:on)?$/;
  return readdirSync(cwd)
    .filter((name) => pattern.test(name) && /config/.test(name) && !CONFIG_NAMES.includes(name))
    .sort();
}

/**
 * drizzle-kit sees `out` from the working directory. Where that folder does not exist, the one beside the file does
 * instead: drizzle-kit was run there.
 */
function folderOf(out: string, cwd: string, home: string): string {
  const beside = resolve(home, out);
  return !existsSync(resolve(cwd, out)) && existsSync(beside) ? shown(cwd, beside) : out;
}

function shown(cwd: string, path: string): string {
  const short = relative(cwd, path);
  return short === "" || isAbsolute(short) ? path : short;
}

function missing(file: string, cwd: string): Error {
  const others = [
    ...CONFIG_NAMES.filter((each) => existsSync(join(cwd, each))),
    ...otherConfigs(cwd),
  ];
  const found = others.length === 0 ? "" : ` ${cwd} has ${others.join(", ")}.`;
  return invalidConfig(file, `does not exist.${found}`);
}
