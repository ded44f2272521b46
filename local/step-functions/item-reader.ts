import { asRecord } from "../../lib/json.ts";
import { S3Error } from "../s3/errors.ts";
import type { MapState } from "./definition.ts";
import { StateError } from "./errors.ts";
import { integer, QueryError } from "./expressions.ts";
import type { ItemReader } from "./read-map.ts";
import type { Visit } from "./visit.ts";

/** The largest item of a file (developer guide, "ItemReader"). */
const MAX_ITEM_BYTES = 8 * 1_024 * 1_024;

/**
 * Reads the items of a map from its file.
 * @throws StateError `States.ItemReaderFailed`
 */
export async function readItems(visit: Visit, reader: ItemReader): Promise<readonly unknown[]> {
  const { Bucket, Key } = asRecord(await reader.arguments(visit.bindings()));
  const maxItems = integer((await reader.maxItems?.(visit.bindings())) ?? 0, "MaxItems");
  if (maxItems < 0) throw failed("field MaxItems must be positive");
  const text = textOf(visit, String(Bucket), String(Key));
  const items = reader.inputType === "JSON" ? listIn(text) : linesIn(text);
  // Nobody has recorded an empty file; a machine must not come to depend on a guess.
  if (items.length === 0) throw failed(`s3://${Bucket}/${Key} is empty. ${UNKNOWN}`);
  return maxItems === 0 ? items : items.slice(0, maxItems);
}

const UNKNOWN =
  "This stand-in does not know what the service does with an empty file: ask before with a Choice.";

function textOf({ world }: Visit, bucket: string, key: string): string {
  try {
    return world.s3.get(bucket, key).body.toString();
  } catch (thrown) {
    if (!(thrown instanceof S3Error)) throw thrown;
    const { message, status, code } = thrown;
    throw failed(`${message} (Service: S3, Status Code: ${status}, Error Code: ${code})`);
  }
}

function linesIn(text: string): readonly unknown[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line, n) => {
    if (Buffer.byteLength(line) > MAX_ITEM_BYTES) throw failed(`Item ${n} is larger than 8 MB.`);
    return jsonOf(line);
  });
}

function listIn(text: string): readonly unknown[] {
  const items = jsonOf(text);
  if (!Array.isArray(items)) throw failed("Attempting to map over non-iterable node.");
  return items;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw failed(`Unable to parse as JSON: ${text.slice(0, 100)}`);
  }
}

function failed(cause: string): StateError {
  return new StateError("States.ItemReaderFailed", cause);
}

/** Computes the items of a map without a file: its `Items`, or its input. @throws QueryError for anything but an array */
export async function inlineItems(visit: Visit, { items }: MapState): Promise<readonly unknown[]> {
  const list = items === null ? visit.input : await items(visit.bindings());
  if (Array.isArray(list)) return list;
  const type = list === null ? "null" : typeof list;
  const words = `The JSONata expression specified for the field 'Items' returned an unexpected result type. Expected 'array', but was '${type}' for value: ${JSON.stringify(list)}`;
  throw new QueryError("Items", words);
}
