import { readFile } from "node:fs/promises";
import { MigratorError, toError } from "../../lib/errors.ts";
import { refuseConnectionStrings } from "../../lib/fleet/read-request.ts";
import { isRecord, parseJson } from "../../lib/json.ts";
import { tryTargetReference } from "../../lib/target-reference.ts";
import { quoted } from "../../lib/text.ts";

/** The options that make the input of a run. */
export interface InputOptions {
  /** The whole input as a file of JSON; other options take precedence over its fields. */
  readonly input?: string;
  /** A file of JSON lines, of a JSON array, or `s3://BUCKET/KEY`. */
  readonly targets?: string;
  readonly waves?: string;
  readonly maxConcurrency?: string;
  /** A number of tenants, or a part in percent. */
  readonly tolerated?: string;
  readonly failOn?: string;
  readonly skip?: string;
  readonly gone?: string;
  readonly rehearse?: string;
}

/** Step Functions takes 256 KiB for the input of an execution; the function's own answers have to fit beside it. */
const MAX_INPUT_BYTES = 200_000;

/** The input of a run, and the list that does not fit into it. */
export interface RunInput {
  readonly input: Readonly<Record<string, unknown>>;
  /** JSON lines that must be brought to the bucket first; null where the input has all of it. */
  readonly list: string | null;
}

/**
 * Makes the input of a run of a file, and of options.
 * @throws MigratorError `FLEET_INVALID`
 */
export async function readInput(options: InputOptions): Promise<RunInput> {
  const base = options.input === undefined ? {} : await jsonIn(options.input);
  const targets = options.targets === undefined ? undefined : await targetsIn(options.targets);
  const given = {
    ...(targets === undefined ? {} : { targets }),
    ...(options.waves === undefined ? {} : { waves: wavesIn(options.waves) }),
    ...numberIn("maxConcurrency", options.maxConcurrency),
    ...(options.tolerated === undefined ? {} : { tolerated: toleratedIn(options.tolerated) }),
    ...textIn({ failOn: options.failOn, skip: options.skip }),
    ...textIn({ gone: options.gone, rehearse: options.rehearse }),
  };
  const input = { ...base, ...given };
  if (!("targets" in input)) {
    throw invalid("Nothing says which tenants: --targets FILE, or --input FILE with targets");
  }
  const inline = Object(input.targets).inline;
  refuseSecrets(input);
  const isLong = Buffer.byteLength(JSON.stringify(input)) > MAX_INPUT_BYTES;
  if (!isLong || !Array.isArray(inline)) return { input, list: null };
  return { input, list: inline.map((each) => `${JSON.stringify(each)}\n`).join("") };
}

/** Whoever may look at an execution reads its input for 90 days: what must not be there is not sent. */
function refuseSecrets(input: Readonly<Record<string, unknown>>): void {
  const { inline } = Object(input.targets);
  for (const [index, each] of (Array.isArray(inline) ? inline : []).entries()) {
    const read = tryTargetReference(each);
    if ("mistake" in read) throw invalid(`Target ${index + 1} of the list ${read.mistake}`);
  }
  try {
    refuseConnectionStrings(input);
  } catch (thrown) {
    throw invalid(toError(thrown).message.replace(/\.$/, ""));
  }
}

/**
 * Reads waves as they are written on a command line: `acme,1%/300,50,100%`. A wave is a number of tenants, a part of all
 * in percent, or ids with + between; behind a stroke stands the pause after it, in seconds. Or JSON, as in a file.
 * @throws MigratorError `FLEET_INVALID`
 */
export function wavesIn(text: string): readonly unknown[] {
  if (text.trimStart().startsWith("[")) {
    const waves = parseJson(text);
    if (Array.isArray(waves)) return waves;
    throw invalid(`--waves ${quoted(text)} begins as JSON, and is none`);
  }
  return text.split(",").map((part) => waveIn(part.trim(), text));
}

function waveIn(part: string, whole: string): object {
  const [, who = "", pause] = /^(.*?)(?:\/(\d+))?$/.exec(part) ?? [];
  if (who === "") {
    throw invalid(
      `--waves ${quoted(whole)} has a wave of nobody. Write tenants, numbers or percent: acme+globex,1%/300,50,100%`,
    );
  }
  const after = pause === undefined ? {} : { pauseSeconds: Number(pause) };
  if (/^\d+(?:\.\d+)?%$/.test(who)) return { percent: Number(who.slice(0, -1)), ...after };
  if (/^\d+$/.test(who)) return { count: Number(who), ...after };
  return { tenants: who.split("+").map((id) => id.trim()), ...after };
}

function toleratedIn(text: string): object {
  if (/^\d+(?:\.\d+)?%$/.test(text)) return { percent: Number(text.slice(0, -1)) };
  if (/^\d+$/.test(text)) return { count: Number(text) };
  throw invalid(
    `--tolerated ${quoted(text)} is neither a number of tenants, such as 3, nor a part, such as 0.5%`,
  );
}

async function targetsIn(file: string): Promise<object> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(file) ?? [];
  if (bucket !== undefined && key !== undefined) return { s3: { bucket, key } };
  const text = (await contentOf(file)).replace(/^\ufeff/, "");
  const whole = parseJson(text);
  if (Array.isArray(whole)) return { inline: whole };
  if (isRecord(whole) && !("id" in whole)) return whole;
  const lines = text.split(/\r?\n/).map((line, at) => ({ line, number: at + 1 }));
  return {
    inline: lines
      .filter(({ line }) => line.trim() !== "")
      .map(({ line, number }) => {
        const target = parseJson(line);
        if (isRecord(target)) return target;
        throw invalid(
          `${quoted(file)}, line ${number}, is no JSON object such as {"id":"acme","parameter":"/tenants/acme/url"}`,
        );
      }),
  };
}

async function jsonIn(file: string): Promise<Readonly<Record<string, unknown>>> {
  const value = parseJson(await contentOf(file));
  if (isRecord(value)) return value;
  throw invalid(`${quoted(file)} is no JSON object`);
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw invalid(`${quoted(file)} cannot be read: ${toError(cause).message}`, cause);
  }
}

function numberIn(name: string, text: string | undefined): object {
  return text === undefined ? {} : { [name]: Number(text) };
}

function textIn(fields: Readonly<Record<string, string | undefined>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function invalid(message: string, cause?: unknown): MigratorError {
  return new MigratorError("FLEET_INVALID", `${message}. Nothing was started.`, { cause });
}
