/** The memory of the function without a bundle, in MB. */
const BASE_MB = 90;

/** The memory for each MB of a bundle at worst: a text that is no Latin has two bytes a character. */
const FOR_EACH_MB = 5;

/**
 * Returns the memory in MB that a function needs to read a bundle and to run all of its migrations, as
 * `tests/trials/sizes.test.ts` measures it.
 * @param bytes of its files
 */
export function memoryFor(bytes: number): number {
  return Math.ceil(BASE_MB + FOR_EACH_MB * (bytes / 1024 ** 2));
}
