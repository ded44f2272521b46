import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { unzipSync } from "fflate";

/** Writes the files of a zip archive into a folder. */
export function unzip(archive: Uint8Array, folder: string): void {
  for (const [entry, content] of Object.entries(unzipSync(archive))) {
    const name = normalize(entry);
    if (name.startsWith("..")) throw new Error(`The archive has a file outside of it: ${name}.`);
    if (/[/\\]$/.test(name)) continue;
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}
