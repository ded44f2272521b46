import type { Command } from "commander";
import { withProject } from "../options.ts";
import type { BundleOptions } from "./command.ts";

export function addBundle(program: Command, end: (exitCode: number) => void): void {
  withProject(program.command("bundle"))
    .description("compile the folder into a ready Lambda asset: handler and bundle")
    .option("--out <folder>", "where the asset is written", "asset")
    .option("--handler <folder>", "another prebuilt handler than the package's own")
    .option("--since <tag|ref>", "only the findings of what is new since then")
    .action(async (options: BundleOptions) => {
      const { bundleCommand } = await import("./command.ts");
      end(await bundleCommand(options));
    });
}
