import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { EXIT_CODE } from "../exit-code.ts";
import { choice, markdownOption, pageOption, withJson } from "../options.ts";
import type { FleetVerb } from "./answer.ts";
import type { FleetOptions } from "./command.ts";

const VERBS = ["start", "status", "report", "resume"];

/** Options that make the input of a run. `resume` takes that of the run before. */
const OF_START = [
  ...["input", "targets", "waves", "maxConcurrency", "tolerated"],
  ...["failOn", "skip", "gone", "rehearse", "bucket"],
];

const HELP = `
start begins a run and follows it; status shows the newest run, and who is behind; report prints the report of a run that has ended;
resume begins again with the same input: who is through is left out. The region is that of the ARN, credentials come by the usual chain of
the AWS SDK. A run goes on in AWS whether this command lives or not. Exit codes: 0 all tenants are where they should be, 1 failed or
stopped, 2 wrong usage, 3 partial, or still under way.`;

/** Adds `fleet`. */
export function addFleet(program: Command, end: (exitCode: number) => void): void {
  withJson(program.command("fleet"))
    .description("migrate one database per tenant, wave by wave: start, status, report, resume")
    .addArgument(new Argument("<verb>", "what to do").choices(VERBS))
    .requiredOption("--machine <arn>", "the ARN of the state machine; of NeonFleet: fleet.machine")
    .option("--run <name>", "the run (default: the newest; for start: its name)")
    .option("--targets <file>", "the tenants: JSON lines, a JSON array, or s3://BUCKET/KEY")
    .option("--waves <waves>", "such as acme,1%/300,50,100%: ids, percent or a number / pause in s")
    .addOption(
      new Option("--max-concurrency <n>", "tenants at a time (default: 50)").argParser(positive),
    )
    .option("--tolerated <n|n%>", "failures that a wave may have (default: 0)")
    .addOption(choice("--fail-on", ["any", "budget"], "when the run fails (default: any)"))
    .addOption(
      choice("--skip", ["ledger", "none"], "leave out who is up to date (default: ledger)"),
    )
    .addOption(choice("--gone", ["error", "skip"], "a tenant that is not there (default: error)"))
    .addOption(
      choice("--rehearse", ["canary", "none"], "rehearse the first tenant first (default: none)"),
    )
    .option("--input <file>", "the whole input as JSON; the options above go before it")
    .option("--bucket <name>", "the fleet's bucket, for a list that is too long for an input")
    .option("--no-wait", "start or resume, and do not follow the run")
    .addOption(pageOption())
    .addOption(markdownOption())
    .option("--quiet", "print the end only", false)
    .addHelpText("after", HELP)
    .action(async (verb: FleetVerb, options: Omit<FleetOptions, "verb">, self: Command) => {
      const misplaced = OF_START.find((name) => Reflect.get(options, name) !== undefined);
      if (verb !== "start" && misplaced !== undefined) {
        const flag = self.options.find((option) => option.attributeName() === misplaced)?.long;
        self.error(`error: ${flag} belongs to fleet start`, { exitCode: EXIT_CODE.usage });
      }
      const { fleetCommand } = await import("./command.ts");
      end(await fleetCommand({ ...options, verb }));
    });
}

function positive(value: string): string {
  if (/^[1-9]\d{0,4}$/.test(value) && Number(value) <= 10_000) return value;
  throw new InvalidArgumentError("Allowed: a whole number from 1 to 10000");
}
