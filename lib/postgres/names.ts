/*
 * PostgreSQL's own words: names, types, locks, SQLSTATEs and sessions. Values in these words come in. They go out
 * compared, quoted for a statement, or described for a reader. Nothing here sends a statement, or knows of
 * migrations.
 */

/** A name as it was written, unquoted. Schema null: the search path finds it. */
export interface ObjectName {
  readonly schema: string | null;
  readonly name: string;
}

/** Writes an identifier so that PostgreSQL reads it as it stands. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Writes a text as a literal that is read alike with any setting of `standard_conforming_strings`. */
export function quoteLiteral(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** Writes an object's name, quoted, with its schema if it names one. */
export function quoteName({ schema, name }: ObjectName): string {
  const object = quoteIdentifier(name);
  return schema === null ? object : `${quoteIdentifier(schema)}.${object}`;
}
