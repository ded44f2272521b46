import type { Colors } from "picocolors/types.js";
import { counted } from "../../lib/text.ts";
import { indented, lineTexts, printableTexts } from "../render/printable.ts";
import type { InitFile } from "./file.ts";
import type { DatabaseFinding, Findings } from "./findings.ts";
import { TOOLS } from "./tools.ts";

/** The output of `init --json`. */
export interface InitOutput extends Findings {
  /** Null without `--for`. */
  readonly deployment: InitFile | null;
}

/** Renders what was found, and the file as a diff. Pure. */
export function renderInit(output: InitOutput, yes: boolean, colors: Colors): string {
  const { deployment } = output;
  const found = foundLines(output, colors);
  if (deployment === null) return [...found, "", ...nextLines(output, colors)].join("\n");
  return [...found, "", ...fileLines(deployment, output, yes, colors)].join("\n");
}

function foundLines(output: InitOutput, colors: Colors): readonly string[] {
  const { name, config, folder, migrations, problem, ledger, tools } = lineTexts(output);
  const found =
    migrations === null ? colors.yellow(`${problem}`) : counted(migrations, "migration");
  const rows: readonly (readonly [string, string])[] = [
    ["Package", name],
    ["Config", config ?? "no drizzle.config file"],
    ["Migrations", migrations === null ? found : `${found} in ${folder}`],
    ["Ledger", `${ledger.schema}.${ledger.table} (${ledger.from})`],
    ["Database", databaseText(printableTexts(output.database), colors)],
    [
      "Deploys by",
      tools.map(({ tool, file }) => `${tool} (${file})`).join(", ") || "no file of a known tool",
    ],
  ];
  return rows.map(([label, text]) => `${colors.bold(label.padEnd(11))} ${text}`);
}

function databaseText({ from, state, message }: DatabaseFinding, colors: Colors): string {
  const text = indented(message);
  if (state === "not-named" || from === null) return colors.yellow(text);
  const isGood = state === "pending" || state === "up-to-date";
  return `${from}. ${isGood ? text : colors.yellow(text)}`;
}

function nextLines({ database, tools, problem }: InitOutput, colors: Colors): readonly string[] {
  const tool = tools[0]?.tool;
  const check = "neon-migrate check";
  const isEmpty = /^(?:FOLDER_NOT_FOUND|JOURNAL_MISSING)\b/.test(problem ?? "");
  const mend = isEmpty
    ? `Next: ${colors.bold("drizzle-kit generate")}`
    : `Next: mend the folder; ${colors.bold(check)} shows where.`;
  const fix = problem === null ? [] : [mend];
  const next = database.next === null ? [] : [`Next: ${colors.bold(database.next)}`];
  const init = `neon-migrate init --for ${tool ?? TOOLS.join("|")}`;
  return [...fix, ...next, `The file that deploys them: ${colors.bold(init)}`];
}

function fileLines(
  file: InitFile,
  { database }: InitOutput,
  yes: boolean,
  colors: Colors,
): readonly string[] {
  const { path } = lineTexts(file);
  if (file.before === "same") return [colors.green(`${path} is there, with this content.`)];
  const marks: Readonly<Record<string, (text: string) => string>> = {
    "+": colors.green,
    "-": colors.red,
  };
  const before = file.before === "none" ? "a new file" : "changed";
  return [
    colors.bold(`${path} (${before})`),
    ...printableTexts(file.diff).map((line) => (marks[line.charAt(0)] ?? String)(line)),
    "",
    outcome(file, yes, colors),
    ...firstLines(database, file, colors),
  ];
}

/** Says what comes before the first deployment, which would fail. */
function firstLines(
  { state, next }: DatabaseFinding,
  { tool }: InitFile,
  colors: Colors,
): readonly string[] {
  if (next === null) return [];
  if (state === "not-baselined") return [`Before the first deployment: ${colors.bold(next)}`];
  if (state !== "ledger-elsewhere") return [];
  const named = next.replace("neon-migrate status", `neon-migrate init --for ${tool}`);
  return [`If that is this project's ledger, name it: ${colors.bold(named)}`];
}

function outcome(file: InitFile, yes: boolean, colors: Colors): string {
  const { path, free, tool } = lineTexts(file);
  if (file.written) return colors.green(`Written: ${path}.`);
  if (file.before === "none") {
    return colors.yellow("Nothing was written. Repeat with --yes to write it.");
  }
  const other = `neon-migrate init --for ${tool} --out ${free ?? "ANOTHER_FILE"}`;
  return colors.yellow(
    `Nothing was written: ${path} exists already with other content.${yes ? " --yes alone does not replace it." : ""} A file beside it: ${other}. To replace it: --out ${path} --yes.`,
  );
}
