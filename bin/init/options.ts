import type { Command } from "commander";
import { EXIT_CODE } from "../exit-code.ts";
import { choice, withDatabase } from "../options.ts";
import type { InitOptions } from "./file.ts";
import { TOOLS } from "./tools.ts";

/** Adds `init`, which writes the file that deploys a project's migrations. */
export function addInit(program: Command, end: (exitCode: number) => void): void {
  withDatabase(program.command("init"))
    .description("say what a project has, and write the file that deploys its migrations")
    .addOption(choice("--for", TOOLS, "the tool that deploys; without it init only says"))
    .option("--out <file>", "the file to write; default: where the tool looks for one")
    .option("--name <name>", "the project's name in that file; default: that of package.json")
    .option("--yes", "write; without it the file is only shown", false)
    .action(async (options: InitOptions, command: Command) => {
      const { for: tool, out, name, yes } = options;
      if (tool === undefined && (yes || out !== undefined || name !== undefined)) {
        const message = "error: --out, --name and --yes belong to --for TOOL";
        command.error(message, { exitCode: EXIT_CODE.usage });
      }
      const { initCommand } = await import("./command.ts");
      end(await initCommand(options));
    });
}
