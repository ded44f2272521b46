import { type Dirent, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The tools for which there is a file. Those that make the function come first. */
export const TOOLS = ["cdk", "terraform", "sam", "sst", "serverless", "github-actions"] as const;

/** One of the tools. */
export type Tool = (typeof TOOLS)[number];

/** A tool that the project uses, by one of its files. */
export interface FoundTool {
  readonly tool: Tool;
  /** The file that tells, seen from the working directory. */
  readonly file: string;
  /** Its folder; empty for the working directory. */
  readonly folder: string;
}

/** The names of a tool's files. */
const FILES: Readonly<Record<Tool, RegExp>> = {
  cdk: /^cdk\.json$/,
  terraform: /\.tf$/,
  sam: /^(?:samconfig\.(?:toml|ya?ml)|template\.(?:ya?ml|json))$/,
  sst: /^sst\.config\.[cm]?[jt]s$/,
  serverless: /^serverless\.(?:ya?ml|json|[cm]?[jt]s)$/,
  "github-actions": /\.ya?ml$/,
};
const WORKFLOWS = ".github/workflows";
/** Folders of what was installed or made. */
const NOT_SEARCHED = /^(?:\.|node_modules$|(?:cdk\.)?out$|dist$|build$|asset$)/;

/** Looks for the tools in a folder, and in the folders directly below. */
export function findTools(cwd: string): readonly FoundTool[] {
  const below = entriesOf(cwd)
    .filter((each) => each.isDirectory() && !NOT_SEARCHED.test(each.name))
    .map(({ name }) => name)
    .sort();
  return TOOLS.flatMap((tool) => {
    const folders = tool === "github-actions" ? [WORKFLOWS] : ["", ...below];
    return folders.flatMap((folder) => foundIn(cwd, folder, tool)).slice(0, 1);
  });
}

function foundIn(cwd: string, folder: string, tool: Tool): readonly FoundTool[] {
  return entriesOf(join(cwd, folder))
    .filter((each) => each.isFile() && FILES[tool].test(each.name))
    .map(({ name }) => ({ tool, folder, file: folder === "" ? name : `${folder}/${name}` }))
    .filter(({ file }) => tool !== "sam" || isOfSam(join(cwd, file)));
}

/** Other templates have the same name. */
function isOfSam(path: string): boolean {
  return /samconfig\.\w+$/.test(path) || readFileSync(path, "utf8").includes("AWS::Serverless");
}

function entriesOf(folder: string): readonly Dirent[] {
  return existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
}
