import { memoryFor } from "../bundle/memory.ts";
import { sizeOfBundle } from "../bundle/open-bundle.ts";
import { MigratorError } from "../errors.ts";
import { memoryOfFunction } from "../target/config.ts";

/**
 * Refuses a bundle that is too large for the memory of the function, before it is read. Lambda ends a function without a
 * word that takes more, perhaps in the middle of a migration.
 * @param file `bundle.json`
 * @throws MigratorError `BUNDLE_TOO_LARGE`
 */
export function refuseTooLarge(file: URL): void {
  const memoryMb = memoryOfFunction();
  const bytes = sizeOfBundle(file);
  const needed = memoryFor(bytes);
  if (Number.isNaN(memoryMb) || memoryMb >= needed) return;
  throw new MigratorError(
    "BUNDLE_TOO_LARGE",
    `The function has ${memoryMb} MB of memory, and needs ${needed} MB for its bundle of ${(bytes / 1024 ** 2).toFixed(1)} MB. Nothing was run. Raise the function's memory (memorySize), or load data outside of the migrations.`,
  );
}
