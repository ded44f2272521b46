import type { Command } from "commander";
import { withProject } from "../options.ts";
import type { LocalOptions } from "./command.ts";

export function addLocal(program: Command, end: (exitCode: number) => void): void {
  withProject(program.command("local"))
    .description(
      "run a PostgreSQL, Neon's API, a relay and the function on this machine, until Ctrl-C",
    )
    .action(async (options: LocalOptions) => {
      const { localCommand } = await import("./command.ts");
      end(await localCommand(options));
    });
}
