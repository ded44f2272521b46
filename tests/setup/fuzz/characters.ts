import fc from "fast-check";

/** Any code point, lone surrogates included. fast-check's own unit `binary` takes seconds to make. */
export const anyCharacter = fc
  .integer({ min: 0, max: 0x10_ff_ff })
  .map((point) => String.fromCodePoint(point));
