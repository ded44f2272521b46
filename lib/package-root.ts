import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Returns the package's own folder: one level above the source, two above the compiled code. The folder of the construct has
 * a package.json as well, which says of its files that they are CommonJS, and has no name.
 */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!isNamed(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error("The package has lost its package.json.");
    folder = parent;
  }
  return folder;
}

function isNamed(manifest: string): boolean {
  return existsSync(manifest) && readFileSync(manifest, "utf8").includes('"name"');
}

/** Returns the package's version, from its package.json. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  const version =
    typeof manifest === "object" && manifest !== null ? Reflect.get(manifest, "version") : null;
  return typeof version === "string" ? version : "unknown";
}
