import { oneLine, printable, replaceTexts } from "../../lib/text.ts";

/** Makes every text in a value safe to print. Its line breaks stay. */
export function printableTexts<Value>(value: Value): Value {
  // The result has the shape of the value: only texts inside are replaced.
  return replaceTexts(value, printable) as Value;
}

/** Makes every text in a value safe to print in one line. */
export function lineTexts<Value>(value: Value): Value {
  // The result has the shape of the value: only texts inside are replaced.
  return replaceTexts(value, oneLine) as Value;
}

/** Indents the lines behind the first, so that none of them looks like a line of ours. */
export function indented(text: string): string {
  return text.replaceAll("\n", "\n    ");
}
