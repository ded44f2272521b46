import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Makes the text of the notices that belong to other people's code in the package's files. A licence that several packages
 * share stands there once.
 * @param folders the folders of their packages
 * @throws Error for a package without a licence's text whose `package.json` names none either
 */
export async function noticesOf(folders: readonly string[]): Promise<string> {
  const groups = new Map<string, { readonly names: string[]; readonly licence: string }>();
  for (const folder of folders) {
    const { name, licence } = await readLicence(folder);
    const { terms, owner } = readApache(licence);
    const group = groups.get(terms) ?? { names: [], licence };
    group.names.push(`${name}${owner === "" ? "" : `: ${owner}`}`);
    groups.set(terms, group);
  }
  const parts = Array.from(groups.values(), ({ names, licence }) =>
    [...names, "", licence.trim(), ""].join("\n"),
  );
  return ["The files of this package contain code of these packages.\n", ...parts].join(
    `\n${"-".repeat(80)}\n\n`,
  );
}

/**
 * Tells the terms of the Apache License 2.0 from what each package writes into its appendix: the year and the owner. Its
 * copies differ in blanks, too. Of any other licence all are terms.
 */
function readApache(licence: string): { readonly terms: string; readonly owner: string } {
  const [terms = "", appendix] = licence.split(/END OF TERMS AND CONDITIONS/);
  if (!/Apache License\s+Version 2\.0/.test(terms)) return { terms: licence, owner: "" };
  const owner = /^ *Copyright (?!\[).*$/m.exec(appendix ?? "")?.[0].trim() ?? "";
  return { terms: terms.replace(/\s+/g, " ").trim(), owner };
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
