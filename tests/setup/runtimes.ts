import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A Node and the program in it that fetches events and calls the handler. */
export interface Runtime {
  readonly name: string;
  readonly nodePath: string;
  /** Default: the stand-in's own. */
  readonly clientPath?: string;
}

/** Installed by the project's own check, and by nobody who only uses the project. */
const INSTALLED = new URL("../../.ci/runtimes/node_modules/", import.meta.url);

/** What the built function is tried in: the stand-in's client, and AWS' own where it is installed. */
export function runtimes(): readonly Runtime[] {
  const clientPath = fileURLToPath(new URL("aws-lambda-ric/index.mjs", INSTALLED));
  const ours: Runtime = { name: "the stand-in's client", nodePath: process.execPath };
  if (!existsSync(clientPath)) return [ours];
  const theirs = ["22", "24"].map((version) => ({
    name: `AWS' client on Node ${version}`,
    nodePath: fileURLToPath(new URL(`node-${version}/bin/node`, INSTALLED)),
    clientPath,
  }));
  return [ours, ...theirs.filter(({ nodePath }) => existsSync(nodePath))];
}
