import type { Command, Option } from "commander";

/** Writes the completion of a program for one shell. */
type Script = (program: Command) => string;

/** The shells, by their names. */
export const SHELLS: Readonly<Record<string, Script>> = { bash, zsh, fish };

/** A word that can be completed to, with what it means. */
interface Word {
  readonly word: string;
  readonly what: string;
}

/** An option that is shown in the help of a command. */
interface Flag {
  readonly words: readonly string[];
  readonly what: string;
  /** Null where it takes no value. */
  readonly values: "any" | "path" | readonly string[] | null;
}

function commandsOf({ commands }: Command): readonly Word[] {
  return commands.map((each) => ({ word: each.name(), what: each.description() }));
}

function flagsOf({ options }: Command): readonly Flag[] {
  const help = { words: ["--help"], what: "show the help", values: null };
  return [...options.filter(({ hidden }) => !hidden).map(flagOf), help];
}

function flagOf(option: Option): Flag {
  const { short, long, description, argChoices, flags, required, optional } = option;
  const values = /<(?:folder|file)>/.test(flags) ? "path" : (argChoices ?? "any");
  return {
    words: [short, long].filter((word) => word != null),
    what: description,
    values: required || optional ? values : null,
  };
}

/** The values of a command's argument. */
function argumentsOf({ registeredArguments }: Command): readonly string[] {
  return registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
}

function bash(program: Command): string {
  const cases = program.commands.map((command) => {
    const flags = flagsOf(command);
    const values = flags.flatMap(({ words, values }) => {
      if (values === null) return [];
      const reply =
        values === "path"
          ? 'compgen -f -- "$word"'
          : `compgen -W '${values === "any" ? "" : values.join(" ")}' -- "$word"`;
      return `        ${words.join("|")}) COMPREPLY=($(${reply})); return ;;`;
    });
    const words = [...flags.flatMap((flag) => flag.words), ...argumentsOf(command)];
    return `    ${command.name()})
      case "$before" in
${values.join("\n")}
      esac
      COMPREPLY=($(compgen -W '${words.join(" ")}' -- "$word")) ;;`;
  });
  const first = [...commandsOf(program).map(({ word }) => word), "help", "--help", "--version"];
  return `_neon_migrate() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${first.join(" ")}' -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
    help) COMPREPLY=($(compgen -W '${first.join(" ")}' -- "$word")) ;;
${cases.join("\n")}
  esac
}
complete -o filenames -F _neon_migrate neon-migrate`;
}

function zsh(program: Command): string {
  const cases = program.commands.map((command) => {
    const flags = flagsOf(command).flatMap(({ words, what, values }) =>
      words.map((word) => `'${word}[${zshText(what)}]${zshValues(values)}'`),
    );
    const choices = argumentsOf(command);
    const rest = choices.length === 0 ? [] : [`'1:value:(${choices.join(" ")})'`];
    return `    ${command.name()}) _arguments ${[...flags, ...rest].join(" ")} ;;`;
  });
  const words = commandsOf(program).map(({ word, what }) => `'${word}:${zshText(what)}'`);
  return `#compdef neon-migrate
_neon_migrate() {
  if (( CURRENT == 2 )); then
    local -a commands=(${words.join(" ")})
    _describe command commands
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join("\n")}
  esac
}
compdef _neon_migrate neon-migrate`;
}

function zshText(text: string): string {
  return text.replaceAll("'", "'\\''").replace(/[[\]:]/g, "\\$&");
}

function zshValues(values: Flag["values"]): string {
  if (values === null) return "";
  if (values === "path") return ":file:_files";
  return values === "any" ? ":value: " : `:value:(${values.join(" ")})`;
}

function fish(program: Command): string {
  const quoted = (text: string) => `'${text.replace(/['\\]/g, "\\$&")}'`;
  const lines = program.commands.flatMap((command) => {
    const seen = `-n '__fish_seen_subcommand_from ${command.name()}'`;
    const flags = flagsOf(command).map(({ words, what, values }) => {
      const names = words.map((word) =>
        word.startsWith("--") ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`,
      );
      return `complete -c neon-migrate ${seen} ${names.join(" ")}${fishValues(values)} -d ${quoted(what)}`;
    });
    const choices = argumentsOf(command).join(" ");
    return [
      ...flags,
      ...(choices === "" ? [] : [`complete -c neon-migrate ${seen} -a '${choices}'`]),
    ];
  });
  const commands = commandsOf(program).map(
    ({ word, what }) =>
      `complete -c neon-migrate -n __fish_use_subcommand -a ${word} -d ${quoted(what)}`,
  );
  return ["complete -c neon-migrate -f", ...commands, ...lines].join("\n");
}

function fishValues(values: Flag["values"]): string {
  if (values === null) return "";
  if (values === "path") return " -r -F";
  return values === "any" ? " -x" : ` -x -a '${values.join(" ")}'`;
}
