import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isTrial } from "./tries.ts";

/** A Node and the program in it that fetches events and calls the handler. */
export interface Runtime {
  readonly name: string;
  readonly nodePath: string;
  /** The runtime client. Default: that of the stand-in. */
  readonly clientPath?: string;
}

/** The folder of AWS' runtimes. Only the project's own check installs them (`.ci/runtimes/install`). */
const INSTALLED = new URL("../../.ci/runtimes/", import.meta.url);

const CLIENT = "node_modules/aws-lambda-ric/index.mjs";

/** AWS' runtimes, each with its Node, its client, and a file that shows that the client is installed. */
const THEIRS = [
  ["nodejs22.x", "node-22", "nodejs22.x.mjs", "node_modules/nodejs22.x/index.mjs"],
  ["newest client on Node 22", "node-22", CLIENT, CLIENT],
  ["nodejs24.x", "node-24", CLIENT, CLIENT],
] as const;

/** Returns the runtimes for the built function: the stand-in's, and in trials those of AWS that are installed. */
export function runtimes(): readonly Runtime[] {
  const standIn = { name: "the stand-in's client", nodePath: process.execPath };
  if (!isTrial()) return [standIn];
  const path = (name: string) => fileURLToPath(new URL(name, INSTALLED));
  const installed = THEIRS.filter(([, , , needed]) => existsSync(path(needed)));
  const theirs = installed.map(([name, node, client]) => ({
    name: `AWS' ${name}`,
    nodePath: path(`node_modules/${node}/bin/node`),
    clientPath: path(client),
  }));
  return [standIn, ...theirs];
}
