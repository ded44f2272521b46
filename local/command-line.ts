import { existsSync } from "node:fs";
import { type ParseArgsConfig, parseArgs } from "node:util";

/** A command line that asks for something impossible. */
class WrongUsage extends Error {}

const HELP = { help: { type: "boolean", short: "h", default: false } } as const;

/** The command line of a program: its options for `parseArgs`, and the text that says how to use it. */
interface CommandLine<Config extends ParseArgsConfig> {
  readonly usage: string;
  readonly config: Config;
}

/** The values that `parseArgs` makes of a command line. */
type Parsed<Config extends ParseArgsConfig> = ReturnType<typeof parseArgs<Config>>;

/**
 * Reads the words behind `npm run … --`. Ends the process with 0 where they ask for help, and with 2 where they are wrong;
 * both print the usage, and no stack trace.
 * @param interpret makes the program's settings of the values; `wholeNumber` and the like say what is wrong with one
 */
export function readCommandLine<Config extends ParseArgsConfig, Settings>(
  { usage, config }: CommandLine<Config>,
  interpret: (parsed: Parsed<Config>) => Settings,
): Settings {
  try {
    const { values } = parseArgs({ options: HELP, strict: false });
    if (values.help === true) {
      console.log(usage);
      process.exit(0);
    }
    return interpret(parseArgs(config));
  } catch (thrown) {
    if (!isWrongUsage(thrown)) throw thrown;
    console.error(`${thrown.message}\n${usage}`);
    process.exit(2);
  }
}

function isWrongUsage(thrown: unknown): thrown is Error {
  if (thrown instanceof WrongUsage) return true;
  return (
    thrown instanceof Error && String(Reflect.get(thrown, "code")).startsWith("ERR_PARSE_ARGS")
  );
}

/** Returns a whole number that is not negative. */
export function wholeNumber(text: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new WrongUsage(`${JSON.stringify(text)} is not a whole number.`);
}

/** Returns the choices that a list names. */
export function chosen<Choice extends { readonly name: string }>(
  choices: readonly Choice[],
  names: string,
): readonly Choice[] {
  return names.split(",").map((name) => {
    const choice = choices.find((each) => each.name === name);
    if (choice === undefined) throw new WrongUsage(`There is no ${JSON.stringify(name)}.`);
    return choice;
  });
}

/** Returns the paths, each of which leads somewhere. At least one is needed. */
export function existing(paths: readonly string[]): readonly string[] {
  if (paths.length === 0) throw new WrongUsage("No folder is named.");
  const missing = paths.find((path) => !existsSync(path));
  if (missing !== undefined) throw new WrongUsage(`${missing} does not exist.`);
  return paths;
}
