#!/usr/bin/env node
import { randomUUID } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { failedReport } from "../lib/report/report.ts";
import { printableJson } from "../lib/text.ts";
import { runCli } from "./cli.ts";
import { Ending } from "./endings.ts";

// V8's optimising compiler for WebAssembly takes more time than it saves the parser in so short a process.
setFlagsFromString("--liftoff-only");
// AWS' clients would say on eight lines of every command that they want a newer Node one day.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
// A reader such as `head` that has seen enough is no failure.
process.stdout.on("error", (thrown: NodeJS.ErrnoException) => {
  if (thrown.code !== "EPIPE") throw thrown;
  process.exit();
});
try {
  process.exitCode = await runCli(process.argv.slice(2));
} catch (thrown) {
  // A command answers its own failures. This is one of its loading.
  const report = failedReport(randomUUID(), thrown);
  if (process.argv.includes("--json")) console.log(printableJson(report, 2));
  new Ending(null, thrown).exit(report);
}
