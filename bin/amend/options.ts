import type { Command } from "commander";
import type { AmendmentRequest } from "../../lib/amend/changes.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { choice, lockTimeout, withDatabase } from "../options.ts";
import type { AmendCommandOptions } from "./command.ts";

type Options = Omit<AmendCommandOptions, "request">;

interface BaselineOptions extends Options {
  readonly to: string;
  readonly gone: readonly string[];
}

interface RepairOptions extends Options {
  readonly accept?: string;
  readonly mergeLedgers?: boolean;
  readonly resolve?: string;
  readonly as?: "done" | "undone";
}

/** Adds `baseline` and `repair`, which write the ledger and run nothing. */
export function addAmendments(program: Command, end: (exitCode: number) => void): void {
  const amend = async (request: AmendmentRequest, options: Options) => {
    const { amendCommand } = await import("./command.ts");
    end(await amendCommand({ ...options, request }));
  };
  withDatabase(program.command("baseline"))
    .description("adopt a live database: count migrations as applied without running them")
    .requiredOption("--to <tag>", "the last migration that the database has already")
    .option(
      "--gone <table...>",
      "a table that was dropped by other means than a migration, and need not be there",
      [],
    )
    .addOption(lockTimeout())
    .option("--yes", "write; without it the changes are only shown", false)
    .action(({ to, gone, ...options }: BaselineOptions) =>
      amend({ kind: "baseline", to, gone }, options),
    );
  withDatabase(program.command("repair"))
    .description("put the ledger right, one thing at a time")
    .option("--accept <tag>", "take a file that was changed after it was applied as it is now")
    .option("--merge-ledgers", "make one ledger of two that hold different rows")
    .option("--resolve <tag>", "say what became of a statement that is in doubt; needs --as")
    .addOption(choice("--as", ["done", "undone"], "with --resolve: whether it has happened"))
    .addOption(lockTimeout())
    .option("--yes", "write; without it the changes are only shown", false)
    .action(async (options: RepairOptions, command: Command) => {
      const request = requestOf(options);
      if (typeof request === "string") command.error(request, { exitCode: EXIT_CODE.usage });
      else await amend(request, options);
    });
}

/** Returns the request, or a sentence where the options do not name exactly one repair. */
function requestOf(options: RepairOptions): AmendmentRequest | string {
  const { accept, mergeLedgers, resolve, as } = options;
  const requests: readonly (AmendmentRequest | string)[] = [
    ...(accept === undefined ? [] : [{ kind: "accept" as const, tag: accept }]),
    ...(mergeLedgers === true ? [{ kind: "merge-ledgers" as const }] : []),
    ...(resolve === undefined ? [] : [resolution(resolve, as)]),
  ];
  const [request, ...others] = requests;
  if (request === undefined || others.length > 0) {
    return "error: repair takes exactly one of --accept TAG, --merge-ledgers and --resolve TAG";
  }
  if (as !== undefined && resolve === undefined) return "error: --as belongs to --resolve TAG";
  return request;
}

function resolution(tag: string, as: RepairOptions["as"]): AmendmentRequest | string {
  if (as !== undefined) return { kind: "resolve", tag, as };
  return "error: --resolve needs --as done or --as undone: say whether the statement has happened";
}
