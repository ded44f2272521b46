import { Argument, type Command } from "commander";
import { markdownOption, pageOption } from "../options.ts";
import type { ReportOptions } from "./command.ts";

/** Adds `report`. */
export function addReport(program: Command, end: (exitCode: number) => void): void {
  program
    .command("report")
    .description("show a report that was kept: as text, a page, or Markdown")
    .addArgument(
      new Argument("<file>", "the JSON of up, plan, status or invoke; -: standard input"),
    )
    .addOption(pageOption())
    .addOption(markdownOption())
    .option("--folder <folder>", "migrations, for their SQL and locks")
    .action(async (file: string, options: Omit<ReportOptions, "file">) => {
      const { reportCommand } = await import("./command.ts");
      end(await reportCommand({ ...options, file }));
    });
}
