import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Makes the text of the notices that belong to other people's code in the package's files. A licence that several packages
 * share stands there once.
 * @param folders the folders of their packages
 * @throws Error for a package without a licence's text whose `package.json` names none either
 */
export async function noticesOf(folders: readonly string[]): Promise<string> {
  const names = new Map<string, string[]>();
  for (const folder of folders) {
    const { name, licence } = await readLicence(folder);
    names.set(licence, [...(names.get(licence) ?? []), name]);
  }
  const parts = [...names].map(([licence, of]) => `${of.join("\n")}\n\n${licence.trim()}\n`);
  return ["The files of this package contain code of these packages.\n", ...parts].join(
    `\n${"-".repeat(80)}\n\n`,
  );
}

async function readLicence(folder: string): Promise<{ name: string; licence: string }> {
  const manifest: unknown = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  if (typeof manifest !== "object" || manifest === null) throw new Error(`${folder} has no name.`);
  const name = `${Reflect.get(manifest, "name")} ${Reflect.get(manifest, "version")}`;
  const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
  if (file !== undefined) return { name, licence: await readFile(join(folder, file), "utf8") };
  const licence: unknown = Reflect.get(manifest, "license");
  if (typeof licence !== "string") throw new Error(`${name} names no licence.`);
  return { name, licence: `Licence: ${licence}` };
}
