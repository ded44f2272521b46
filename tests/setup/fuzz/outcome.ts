import { expect } from "vitest";
import { ERROR_CODES, MigratorError } from "../../../lib/errors.ts";

/** A password that stands in no other text; it needs percent-encoding. */
export const PASSWORD = "mArKer+pa ss/w%rd";

/** The end of a parser: a value or an error. */
export type Outcome<Value> =
  | { readonly value: Value; readonly error: null }
  | { readonly value: null; readonly error: MigratorError };

/** Runs a parser. The test fails if it throws anything but a coded error with a sentence, without the password. */
export function outcomeOf<Value>(parse: () => Value): Outcome<Value> {
  try {
    return { value: parse(), error: null };
  } catch (thrown) {
    return { value: null, error: expectCoded(thrown) };
  }
}

/** The same for a parser that may have to wait. */
export async function outcomeOfAsync<Value>(
  parse: () => Value | Promise<Value>,
): Promise<Outcome<Value>> {
  try {
    return { value: await parse(), error: null };
  } catch (thrown) {
    return { value: null, error: expectCoded(thrown) };
  }
}

/** Fails the test unless the value is a coded error with a sentence that gives no password away. */
export function expectCoded(thrown: unknown): MigratorError {
  if (!(thrown instanceof MigratorError)) throw new Error("Not a coded error", { cause: thrown });
  expect(ERROR_CODES).toContain(thrown.code);
  expect(thrown.message.trim()).not.toBe("");
  // People read the message, and services cut it.
  expect(thrown.message.length).toBeLessThan(100_000);
  expect(thrown.message).not.toContain(PASSWORD);
  expect(thrown.message).not.toContain(encodeURIComponent(PASSWORD));
  return thrown;
}
