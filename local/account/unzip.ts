import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { inflateRawSync } from "node:zlib";

const END_OF_DIRECTORY = 0x06054b50;
const END_LENGTH = 22;
const DEFLATED = 8;

/** Writes the files of a zip archive into a folder (PKWARE's APPNOTE 6.3, without encryption and Zip64). */
export function unzip(archive: Buffer, folder: string): void {
  const end = endOf(archive);
  const count = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let index = 0; index < count; index += 1) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) =>
      archive.readUInt16LE(at + offset),
    );
    const nameEnd = at + 46 + (nameLength ?? 0);
    const name = normalize(archive.toString("utf8", at + 46, nameEnd));
    if (name.startsWith("..")) throw new Error(`The archive has a file outside of it: ${name}.`);
    if (!/[/\\]$/.test(name)) write(join(folder, name), contentAt(archive, at));
    at = nameEnd + (extraLength ?? 0) + (commentLength ?? 0);
  }
}

function endOf(archive: Buffer): number {
  for (let at = archive.length - END_LENGTH; at >= 0; at -= 1) {
    if (archive.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  }
  throw new Error("The code is no zip archive.");
}

/** Returns a file's content, by its record in the archive's directory. */
function contentAt(archive: Buffer, record: number): Buffer {
  const size = archive.readUInt32LE(record + 20);
  const header = archive.readUInt32LE(record + 42);
  const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
  const stored = archive.subarray(start, start + size);
  return archive.readUInt16LE(record + 10) === DEFLATED ? inflateRawSync(stored) : stored;
}

function write(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
