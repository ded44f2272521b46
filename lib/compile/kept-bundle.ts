import { hash, randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bundle, type Layout, type Migration, migrationName } from "../bundle/bundle.ts";
import { version } from "../version.ts";
import type { MigrationFile } from "./folder.ts";

/** The parts of a bundle that the files and their history decide. */
export type Kept = Required<Pick<Bundle, "hash" | "contentHash" | "migrations">>;

/** All that the compiler reads of a folder. */
interface Content {
  readonly layout: Layout;
  readonly files: readonly MigrationFile[];
  /** The state of the history that git has; null without any. */
  readonly history: string | null;
}

/** The file that keeps the bundle of a folder, and the key of the content that it must be the bundle of. */
export interface Place {
  readonly path: string;
  readonly key: string;
}

/** The form of the file. Another form has another number. */
const FORM = "neon-migrate kept bundle 1";

/** A folder of migrations has one file. Those of folders that are gone for long make room. */
const MAX_FILES = 64;

/** A larger one takes more memory to write and read than it saves time. */
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Returns the place of a folder's bundle. Its key covers the texts, their order and times, what git knows of them, and the
 * compiler itself with its parser.
 * @returns null where the compiler cannot tell its own version
 */
export function placeFor(cache: string, folder: string, content: Content): Place | null {
  const { layout, files, history } = content;
  const compiler = compilerId();
  if (compiler === null) return null;
  const texts = files.map(({ tag, when, hash: text }) => [tag, when, text]);
  const key = digest(JSON.stringify([compiler, layout, history, texts]));
  return { path: join(cache, `${digest(resolve(folder)).slice(0, 32)}.json`), key };
}

/** Names the code that compiles. The names of the other built files, which are in this one, hold a hash of each. */
function compilerId(): string | null {
  try {
    const own = readFileSync(fileURLToPath(import.meta.url));
    const parser = createRequire(import.meta.url).resolve("libpg-query");
    const manifest = readFileSync(join(dirname(dirname(parser)), "package.json"), "utf8");
    return [version(), digest(own), digest(manifest)].join(" ");
  } catch {
    // Bundled by somebody else, this file may be anywhere, and the parser inside it.
    return null;
  }
}

/**
 * Reads the bundle that is kept at a place. A file that is damaged, of other content, or that another user may have written
 * counts as none.
 */
export function readKept(
  { path, key }: Place,
  { layout, files }: Pick<Content, "layout" | "files">,
): Kept | null {
  try {
    const bytes = readOwn(path);
    const end = bytes.indexOf("\n");
    const body = bytes.subarray(end + 1);
    if (bytes.toString("utf8", 0, end) !== headOf(key, body)) return null;
    const { facts, ...hashes }: Body = JSON.parse(body.toString("utf8"));
    const migrations = files.map(({ tag, when, hash: text, sql }, index) => {
      const own = { tag, name: migrationName(layout, tag, when), when, hash: text, sql };
      return { ...own, ...present(facts[index]) };
    });
    return { ...hashes, migrations };
  } catch {
    return null;
  }
}

/** The content of the file: what the SQL files themselves do not say. */
interface Body extends Omit<Kept, "migrations"> {
  readonly facts: readonly Facts[];
}

type Facts = Omit<Migration, "tag" | "name" | "when" | "hash" | "sql">;

function present(facts: Facts | undefined): Facts {
  if (facts === undefined) throw new Error("A kept bundle lacks a migration.");
  return facts;
}

/** @throws Error for a file that another user has made, or may write */
function readOwn(path: string): Buffer {
  const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const { uid, mode, size } = fstatSync(file);
    const isOurs =
      process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
    if (!isOurs || size > MAX_BYTES) throw new Error("This file is not to be read.");
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Keeps a bundle at a place. Where that fails, on a read-only disk for one, nothing is kept, and nothing is said: the bundle
 * is made again next time. The file gets its name when it is complete, so that nobody reads half of it.
 */
export function keep({ path, key }: Place, { migrations, hash: own, contentHash }: Kept): void {
  const facts = migrations.map(
    ({ tag: _, name: _n, when: _w, hash: _h, sql: _s, ...rest }) => rest,
  );
  const content: Body = { hash: own, contentHash, facts };
  const temporary = `${path}.${randomUUID()}`;
  try {
    const body = Buffer.from(JSON.stringify(content));
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, `${headOf(key, body)}\n`, { mode: 0o600, flag: "wx" });
    writeFileSync(temporary, body, { flag: "a" });
    renameSync(temporary, path);
    makeRoom(dirname(path), basename(path));
  } catch {
    discard(temporary);
  }
}

/** Removes a file that may not be there, in a folder that may not be one. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Nothing could be written there either, or `makeRoom` takes it away one day.
  }
}

/** Removes the oldest files of a cache that has too many, those that a killed process has left among them. */
function makeRoom(cache: string, kept: string): void {
  const names = readdirSync(cache).filter((name) => name !== kept);
  if (names.length < MAX_FILES) return;
  const aged = names.map((name) => ({ name, at: statSync(join(cache, name)).mtimeMs }));
  aged.sort((one, other) => one.at - other.at);
  for (const { name } of aged.slice(0, names.length - MAX_FILES + 1)) {
    discard(join(cache, name));
  }
}

function headOf(key: string, body: Buffer): string {
  return [FORM, key, digest(body)].join(" ");
}

function digest(data: string | Buffer): string {
  return hash("sha256", data, "hex");
}
