import { mkdirSync, rmSync } from "node:fs";
import type { TestProject } from "vitest/node";

/** A place for what CDK leaves behind: each synthesis makes folders that nobody removes where workers are killed. */
export function setup({ config }: TestProject): () => void {
  const folder = config.env.TMPDIR;
  if (typeof folder !== "string") throw new Error("The project names no TMPDIR.");
  mkdirSync(folder, { recursive: true });
  return () => rmSync(folder, { recursive: true, force: true });
}
