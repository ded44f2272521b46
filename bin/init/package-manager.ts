import { existsSync } from "node:fs";
import { join } from "node:path";

/** The commands of the program that installs a project's packages. */
export interface PackageManager {
  readonly name: string;
  readonly install: string;
  readonly exec: string;
  readonly run: string;
  /** The step of a workflow that brings it; null where it comes with Node. */
  readonly setup: string | null;
  /** Whether setup-node keeps its packages between runs. Default: it does. */
  readonly isCached?: false;
}

const NPM: PackageManager = {
  ...{ name: "npm", install: "npm ci", exec: "npx", run: "npm run", setup: null },
};

/** The command line runs on Node, which a workflow sets up beside it. */
const BUN: PackageManager = {
  ...{ name: "bun", install: "bun install --frozen-lockfile", exec: "bunx", run: "bun run" },
  ...{ setup: "      - uses: oven-sh/setup-bun@v2\n", isCached: false },
};

const OTHERS: Readonly<Record<string, PackageManager>> = {
  "pnpm-lock.yaml": {
    ...{ name: "pnpm", install: "pnpm install --frozen-lockfile", exec: "pnpm exec" },
    ...{ run: "pnpm run", setup: "      - uses: pnpm/action-setup@v4\n" },
  },
  "yarn.lock": {
    ...{ name: "yarn", install: "yarn install --frozen-lockfile", exec: "yarn", run: "yarn run" },
    setup: null,
  },
  "bun.lock": BUN,
  "bun.lockb": BUN,
};

/** Tells the package manager by its lock file. */
export function packageManagerOf(cwd: string): PackageManager {
  const [, found = NPM] =
    Object.entries(OTHERS).find(([file]) => existsSync(join(cwd, file))) ?? [];
  return found;
}
