import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Bundle, migrationFile } from "../bundle/bundle.ts";
import { MigratorError } from "../errors.ts";

const run = promisify(execFile);

/** The limit for the list of a repository's file names. No real repository comes near it. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Returns the tags of the migrations that are new since a point: those behind a migration, or those whose files a
 * commit does not have. A file that git does not track is new.
 * @param since a tag of the bundle, or a name of a commit in the folder's git repository
 * @throws MigratorError `REQUEST_INVALID` where it is neither
 */
export async function tagsSince(
  { migrations, layout }: Bundle,
  folder: string,
  since: string,
): Promise<readonly string[]> {
  const tags = migrations.map(({ tag }) => tag);
  const index = tags.indexOf(since);
  if (index >= 0) return tags.slice(index + 1);
  const commit = (
    await git(
      folder,
      since,
      "rev-parse",
      "--verify",
      "--quiet",
      "--end-of-options",
      `${since}^{commit}`,
    )
  ).trim();
  const listed = await git(folder, since, "ls-tree", "-r", "-z", "--name-only", commit);
  const known = new Set(listed.split("\0"));
  return tags.filter((tag) => !known.has(migrationFile(layout, tag).replaceAll("\\", "/")));
}

async function git(folder: string, since: string, ...words: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run("git", [...words], { cwd: folder, maxBuffer: MAX_BYTES });
    return stdout;
  } catch (cause) {
    throw new MigratorError("REQUEST_INVALID", await explain(folder, since, cause), { cause });
  }
}

async function explain(folder: string, since: string, cause: unknown): Promise<string> {
  const start = `--since ${since} names no migration of ${folder}`;
  if (errno(cause) === "ENOENT")
    return `${start}, and there is no git here that could know a commit by that name. Name a migration's tag.`;
  try {
    await run("git", ["rev-parse", "--git-dir"], { cwd: folder });
  } catch {
    // This command fails only outside a repository, which explains the first failure.
    return `${start}, and the folder is in no git repository that could know a commit by that name. Name a migration's tag.`;
  }
  return `${start}, and no commit of its git repository. Name a tag or a commit that is there; a shallow clone has few (in GitHub Actions: fetch-depth: 0).`;
}

function errno(cause: unknown): unknown {
  return cause instanceof Error && "code" in cause ? cause.code : null;
}
