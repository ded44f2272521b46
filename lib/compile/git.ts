import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** Reading the history must not hold up a build. */
const LIMITS = { timeoutMs: 3_000, maxBytes: 16 * 1024 * 1024 };

/** Asks git about a folder. @throws Error where git is missing, fails, or takes longer than the limit */
export async function git(folder: string, args: readonly string[], input = ""): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const child = execFile(
      "git",
      ["-C", folder, ...args],
      { timeout: LIMITS.timeoutMs, maxBuffer: LIMITS.maxBytes, encoding: "buffer" },
      (error, output) => (error === null ? resolve(output) : reject(error)),
    );
    // Where git is missing or gives up early, the callback says so.
    child.stdin?.on("error", () => undefined).end(input);
  });
}

/**
 * Names the state of the history that git has of a folder: the commit, the folder's place in it, and the ends of a shallow
 * clone. As long as it is the same, the earlier versions of the files are.
 * @returns null where git has no history of the folder, or takes too long
 */
export async function historyState(folder: string): Promise<string | null> {
  try {
    const words = ["HEAD", "--show-prefix", "--is-shallow-repository", "--git-path", "shallow"];
    const said = (await git(folder, ["rev-parse", ...words])).toString("utf8");
    const [commit = "", prefix = "", isShallow = "", ends = ""] = said.split("\n");
    const shallow = isShallow === "false" ? "" : readFileSync(resolve(folder, ends), "utf8");
    return JSON.stringify([commit, prefix, shallow]);
  } catch {
    return null;
  }
}
