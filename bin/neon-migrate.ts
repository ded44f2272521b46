#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";
import { runCli } from "./cli.ts";

// V8's optimising compiler for WebAssembly takes more time than it saves the parser in so short a process.
setFlagsFromString("--liftoff-only");
// AWS' clients would say on eight lines of every command that they want a newer Node one day.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
process.exitCode = await runCli(process.argv.slice(2));
