#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";
import { runCli } from "./cli.ts";

// V8's second compiler for WebAssembly takes longer than all that the parser does in so short a life.
setFlagsFromString("--liftoff-only");
process.exitCode = await runCli(process.argv.slice(2));
