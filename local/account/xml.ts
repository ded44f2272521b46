/** A value of an answer. A list becomes `member` elements, as in AWS' Query protocol. */
export type XmlValue = string | readonly XmlValue[] | { readonly [name: string]: XmlValue };

/** Renders the elements of an answer in AWS' Query protocol. */
export function xml(value: XmlValue): string {
  if (typeof value === "string") return escaped(value);
  if (isList(value)) return value.map((each) => `<member>${xml(each)}</member>`).join("");
  return Object.entries(value)
    .map(([name, each]) => `<${name}>${xml(each)}</${name}>`)
    .join("");
}

function isList(value: XmlValue): value is readonly XmlValue[] {
  return Array.isArray(value);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
