#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";
import { runCli } from "./cli.ts";

// V8's optimising compiler for WebAssembly takes more time than it saves the parser in so short a process.
setFlagsFromString("--liftoff-only");
process.exitCode = await runCli(process.argv.slice(2));
