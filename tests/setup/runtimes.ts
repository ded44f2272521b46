import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isTrial } from "./tries.ts";

/** A Node and the program in it that fetches events and calls the handler. */
export interface Runtime {
  readonly name: string;
  readonly nodePath: string;
  /** Default: the stand-in's own. */
  readonly clientPath?: string;
}

/** Installed by the project's own check (`.ci/runtimes/install`), and by nobody who only uses the project. */
const INSTALLED = new URL("../../.ci/runtimes/", import.meta.url);

const CLIENT = "node_modules/aws-lambda-ric/index.mjs";

/** Of each of AWS' runtimes: its Node, its client, and what the client needs to be there. */
const THEIRS = [
  ["nodejs22.x", "node-22", "nodejs22.x.mjs", "node_modules/nodejs22.x/index.mjs"],
  ["newest client on Node 22", "node-22", CLIENT, CLIENT],
  ["nodejs24.x", "node-24", CLIENT, CLIENT],
] as const;

/** What the built function is tried in: the stand-in's client, and in trials AWS' own where it is installed. */
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
