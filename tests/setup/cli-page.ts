import type { Argument, Command, Option } from "commander";
import { createProgram } from "../../bin/cli.ts";
import { type HelpText, helpOf } from "../../bin/help.ts";

const HEAD = `# Command line

This page lists every command of \`neon-migrate\` with its options, as \`neon-migrate COMMAND --help\` prints them. Where folder, ledger
and database come from when no option names them: [configuration](configuration.md).

## Exit codes

| code      | meaning                                                                                 |
| --------- | --------------------------------------------------------------------------------------- |
| 0         | done, or nothing to do                                                                  |
| 1         | failed: the report, or the text on standard error, says why                             |
| 2         | the command line cannot be understood                                                   |
| 3         | something is pending, with \`--exit-code\`                                                |
| 9         | the file of \`--env-file\` does not exist: Node itself says so, before the command begins |
| 130 (143) | stopped by Ctrl-C (SIGTERM); the report says where the run was and what was rolled back |

Results go to standard output, everything else to standard error. With \`--json\` the report is on standard output, whatever it
says, and nothing else is. \`NO_COLOR\` and \`FORCE_COLOR\` are honoured.

`;

/** Options that several commands share: the heading under which they are listed, and the names of the group. */
interface Group {
  readonly heading: string;
  readonly intro: string;
  readonly options: readonly Option[];
}

/** Returns docs/reference/cli.md, as the commands that are there make it. */
export function commandLinePage(): string {
  const program = createProgram(() => undefined);
  const commands = program.commands.filter((command) => command.name() !== "help");
  const groups = groupsOf(commands);
  const tables = groups.map(({ heading, intro, options }) =>
    [`## ${heading}`, intro, tableOf(options)].join("\n\n"),
  );
  const sections = commands.map((command) => sectionOf(command, groups));
  return `${HEAD}${[...sections, ...tables].join("\n\n")}\n`;
}

function groupsOf(commands: readonly Command[]): readonly Group[] {
  const optionsOf = (name: string) => {
    const command = commands.find((each) => each.name() === name);
    if (command === undefined) throw new Error(`There is no command ${name}.`);
    return visible(command);
  };
  const without = (options: readonly Option[], others: readonly Option[]) =>
    options.filter((option) => !others.some((other) => keyOf(other) === keyOf(option)));
  const project = optionsOf("local");
  const run = optionsOf("invoke").filter(({ long }) =>
    optionsOf("up").some((up) => up.long === long),
  );
  const database = without(without(optionsOf("up"), project), run);
  return [
    {
      heading: "Options of a project",
      intro: "Where its migrations and its ledger are, and the form of the output.",
      options: project,
    },
    { heading: "Options of a database", intro: "Where it is.", options: database },
    {
      heading: "Options of a run",
      intro: "The first eight are fields of a [request](request.md), where they are told in full.",
      options: without(run, project),
    },
  ];
}

function sectionOf(command: Command, groups: readonly Group[]): string {
  const isShared = (option: Option) =>
    groups.some(({ options }) => options.some((each) => keyOf(each) === keyOf(option)));
  const own = visible(command).filter((option) => !isShared(option));
  const help = helpOf(command.name());
  return [
    `## ${command.name()}`,
    `${sentence(command.description())}${argumentsOf(command.registeredArguments)}`,
    ...(help === null ? [] : [examplesOf(help)]),
    ...(own.length === 0 ? [] : [tableOf(own)]),
    [...sharedBy(command, groups), ...(help === null ? [] : [moreOf(help)])].join(" "),
  ].join("\n\n");
}

/** Says which groups of options a command takes; of a group of which it takes some, these. */
function sharedBy(command: Command, groups: readonly Group[]): readonly string[] {
  const keys = new Set(visible(command).map(keyOf));
  const whole = groups.filter(({ options }) => options.every((option) => keys.has(keyOf(option))));
  const parts = groups
    .filter((group) => !whole.includes(group))
    .flatMap(({ options }) => options.filter((option) => keys.has(keyOf(option))))
    .map(({ long }) => `\`${long}\``);
  const links = whole.map(
    ({ heading }) => `[${heading.toLowerCase()}](#${heading.toLowerCase().replaceAll(" ", "-")})`,
  );
  const all = [...links, ...parts];
  return all.length === 0 ? [] : [`It takes ${all.join(", ")}.`];
}

function argumentsOf(all: readonly Argument[]): string {
  return all
    .map((each) => ` \`<${each.name()}>\` is ${each.description || "its name or ARN"}.`)
    .join("");
}

function examplesOf({ examples }: HelpText): string {
  const lines = examples.map(([words, what]) => `# ${what}\nneon-migrate ${words}`);
  return `\`\`\`console\n${lines.join("\n")}\n\`\`\``;
}

function moreOf({ page }: HelpText): string {
  const path = page.startsWith("reference/") ? page.slice("reference/".length) : `../${page}`;
  return `More: [${page}](${path}).`;
}

function tableOf(options: readonly Option[]): string {
  const rows = options.map((option) => [
    `\`${escaped(option.flags)}\``,
    escaped(meaningOf(option)),
  ]);
  return alignedTable(["option", "meaning"], rows);
}

function meaningOf({ description, defaultValue, mandatory }: Option): string {
  const isTold = typeof defaultValue === "string" && !description.includes("default: ");
  return `${mandatory ? "needed: " : ""}${description}${isTold ? ` (default: ${defaultValue})` : ""}`;
}

function alignedTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

const visible = (command: Command) => command.options.filter((option) => !option.hidden);
/** Options of the same flags may mean something else to another command. */
const keyOf = ({ flags, description }: Option) => `${flags}\n${description}`;
const escaped = (text: string) => text.replaceAll("|", "\\|");
const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
