/** A name as it was written, unquoted; schema null: found by the search path. */
export interface ObjectName {
  readonly schema: string | null;
  readonly name: string;
}

/** Writes an identifier so that PostgreSQL reads it as it stands. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Writes a text as a literal, whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** An object's name, quoted, with its schema where it has one. */
export function quoteName({ schema, name }: ObjectName): string {
  const object = quoteIdentifier(name);
  return schema === null ? object : `${quoteIdentifier(schema)}.${object}`;
}
