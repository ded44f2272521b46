import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import type { MigratorError } from "../errors.ts";
import type { Layout, Migration } from "./bundle.ts";
import { bundleHash } from "./hash.ts";
import { invalid, readMigration } from "./read-bundle.ts";

/*
 * The second file of an asset's bundle. Its first line is the index, a list of what is to be known of each migration. Each
 * line behind it is one migration. What is read is held against the digest that was read before: that of the index is in
 * `bundle.json`, and those of the migrations are in the index.
 */

/** The name of the file, beside `bundle.json`. */
export const MIGRATIONS_FILE = "migrations.jsonl";

/** A line of the file. */
export interface Line {
  /** Its length in bytes, without its end. */
  readonly bytes: number;
  /** SHA-256, hex, of these. */
  readonly digest: string;
}

/** One migration in the index, with its line. */
export type IndexEntry = readonly [
  tag: string,
  when: number,
  hash: string,
  name: string,
  statements: number,
  bytes: number,
  digest: string,
];

/** Returns the SHA-256 of a line or of a head, hex. A text counts as UTF-8. */
export function digestOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/**
 * Reads the index. Each migration reads its own line when somebody asks for more of it.
 * @throws MigratorError `BUNDLE_INVALID`; so do the migrations
 */
export function readIndex(
  file: string | URL,
  index: Line,
  { layout, hash }: { readonly layout: Layout; readonly hash: string },
): readonly Migration[] {
  const lines = new Lines(file);
  // The digest shows that our own writer has made it.
  const entries = lines.read(0, index) as readonly IndexEntry[];
  let behind = index.bytes + 1;
  const migrations = entries.map((entry, position) => {
    const [tag, when, textHash, name, statementCount, bytes, digest] = entry;
    const from = behind;
    behind += bytes + 1;
    const facts = { tag, when, hash: textHash, name, statementCount };
    const read = () => readMigration(lines.read(from, { bytes, digest }), position, layout);
    // The fields that a migration may lack are undefined here where it lacks them.
    return new OnDemand(facts, read) as Migration;
  });
  if (bundleHash(migrations) !== hash) throw invalid("its hash does not match its migrations");
  return migrations;
}

/** The fields of a migration that are not in the index. */
const REST = ["sql", "statements", "findings", "sameAs", "lineEndsMatter", "directives"] as const;

/** A migration that reads the rest of itself when it is asked for. */
class OnDemand {
  readonly tag: string;
  readonly when: number;
  readonly hash: string;
  readonly name: string;
  readonly statementCount: number;
  readonly #read: () => Migration;

  constructor(
    facts: Required<Pick<Migration, "tag" | "when" | "hash" | "name" | "statementCount">>,
    read: () => Migration,
  ) {
    this.tag = facts.tag;
    this.when = facts.when;
    this.hash = facts.hash;
    this.name = facts.name;
    this.statementCount = facts.statementCount;
    this.#read = read;
  }

  /** Reads the rest, and becomes an object like any other: its fields take the places of those of the class. */
  #whole(): Migration {
    const whole = this.#read();
    for (const name of REST) {
      Object.defineProperty(this, name, { value: whole[name], enumerable: true });
    }
    return whole;
  }

  get sql(): string {
    return this.#whole().sql;
  }

  get statements(): Migration["statements"] {
    return this.#whole().statements;
  }

  get findings(): Migration["findings"] {
    return this.#whole().findings;
  }

  get sameAs(): Migration["sameAs"] {
    return this.#whole().sameAs;
  }

  get lineEndsMatter(): Migration["lineEndsMatter"] {
    return this.#whole().lineEndsMatter;
  }

  get directives(): Migration["directives"] {
    return this.#whole().directives;
  }

  toJSON(): Migration {
    return this.#read();
  }
}

/** So much is read at once: whoever reads many migrations reads them in a row. */
const BLOCK_BYTES = 65_536;

/** Reads lines of a file, and holds each against its digest. */
class Lines {
  readonly #file: string | URL;
  #block: Buffer = Buffer.alloc(0);
  /** The place of the block in the file. */
  #at = 0;

  constructor(file: string | URL) {
    this.#file = file;
  }

  /** @throws MigratorError `BUNDLE_INVALID` */
  read(from: number, line: Line): unknown {
    return JSON.parse(this.#text(from, line));
  }

  /** The bytes are let go of before the text is read: both may be of 200 MB. */
  #text(from: number, { bytes, digest }: Line): string {
    const content = this.#bytes(from, bytes);
    if (digestOf(content) !== digest) throw notOne();
    return content.toString();
  }

  #bytes(from: number, bytes: number): Buffer {
    if (bytes > BLOCK_BYTES) return readBlock(this.#file, from, bytes);
    if (from < this.#at || from + bytes > this.#at + this.#block.length) {
      this.#block = readBlock(this.#file, from, BLOCK_BYTES);
      this.#at = from;
    }
    return this.#block.subarray(from - this.#at, from - this.#at + bytes);
  }
}

/** Reads so many bytes, or those up to the end of the file. */
function readBlock(file: string | URL, from: number, bytes: number): Buffer {
  const block = Buffer.allocUnsafe(bytes);
  const descriptor = openSync(file, "r");
  try {
    let length = 0;
    for (let more = 1; more > 0 && length < bytes; length += more) {
      more = readSync(descriptor, block, length, bytes - length, from + length);
    }
    return block.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the error for a file that does not belong to its head, or was damaged. */
export function notOne(): MigratorError {
  return invalid(`${MIGRATIONS_FILE} is damaged, or is not of the same build as bundle.json`);
}
