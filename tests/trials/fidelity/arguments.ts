import { readFile } from "node:fs/promises";
import { existing, readCommandLine } from "../../../local/command-line.ts";

/** What both programs are asked for. */
export interface FidelityArguments {
  /** A superuser's connection string; null for a server of its own. */
  readonly server: string | null;
  /** SQL that each database begins with; null without any. */
  readonly before: string | null;
  readonly folders: readonly string[];
}

/** Reads the command line. It ends the process for `--help`, and for words that it does not know. */
export async function readArguments(usage: string): Promise<FidelityArguments> {
  const options = { server: { type: "string" }, before: { type: "string" } } as const;
  const config = { options, allowPositionals: true } as const;
  const { file, ...rest } = readCommandLine({ usage, config }, ({ values, positionals }) => ({
    server: values.server ?? null,
    file: values.before === undefined ? null : (existing([values.before])[0] ?? null),
    folders: existing(positionals),
  }));
  return { ...rest, before: file === null ? null : await readFile(file, "utf8") };
}
