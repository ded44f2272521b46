import type * as Library from "libpg-query";

let loaded: typeof Library | null = null;

/** Loads PostgreSQL's parser. That takes longer than all else that a command needs for a folder which it knows already. */
export async function loadLibrary(): Promise<void> {
  loaded ??= await import("libpg-query");
  await loaded.loadModule();
}

/** Returns the loaded parser. @throws Error before `loadLibrary` */
export function library(): typeof Library {
  if (loaded === null) throw new Error("PostgreSQL's parser is not loaded yet.");
  return loaded;
}
