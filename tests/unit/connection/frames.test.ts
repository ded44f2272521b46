import { expect, test } from "vitest";
import { Frames } from "../../../lib/connection/frames.ts";

/** A message of PostgreSQL: a letter, its length, and its content. */
function message(letter: string, content: string): Buffer {
  const head = Buffer.from(`${letter}0000`);
  head.writeInt32BE(Buffer.byteLength(content) + 4, 1);
  return Buffer.concat([head, Buffer.from(content)]);
}

const READY = message("Z", "I");
const NOTICE = message("N", "SNOTICE\0Mhello\0\0");
const EMPTY = message("N", "\0");

/** Takes the bytes in pieces of a size. Says whether they were messages. */
function understood(bytes: Buffer, size: number): boolean {
  const frames = new Frames();
  try {
    for (let at = 0; at < bytes.length; at += size) frames.take(bytes.subarray(at, at + size));
    return true;
  } catch {
    return false;
  }
}

test.for<[string, boolean, readonly Buffer[]]>([
  ["messages in a row", true, [READY, NOTICE, EMPTY, message("3", ""), NOTICE, READY]],
  ["a list that lacks its end", false, [READY, message("E", "SFATAL\0M\0\x01")]],
  ["a list that lacks one of two zeros", false, [message("E", "SFATAL\0Mwords\0"), READY]],
  ["a list without content", false, [READY, message("N", "")]],
  ["a length below its own", false, [READY, Buffer.from("Z\0\0\0\x03")]],
])("the bounds of messages are seen in pieces of each size: %s", ([_what, expected, messages]) => {
  const bytes = Buffer.concat(messages);
  const sizes = Array.from(bytes, (_byte, index) => index + 1);

  expect(sizes.map((size) => understood(bytes, size))).toEqual(sizes.map(() => expected));
});
