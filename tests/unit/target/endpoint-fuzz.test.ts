import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseEndpoint } from "../../../lib/target/endpoint.ts";
import { hostileText, mutantTexts } from "../../setup/fuzz/mutations.ts";
import { outcomeOf, PASSWORD } from "../../setup/fuzz/outcome.ts";
import { tries } from "../../setup/tries.ts";

const HOST = "ep-cool-1-pooler.eu-central-1.aws.neon.tech";

const VALID = [
  `postgresql://app:${encodeURIComponent(PASSWORD)}@${HOST}:5432/shop?sslmode=require&channel_binding=require`,
  `postgres://al%40ice:${encodeURIComponent(PASSWORD)}@[::1]:6543/sh%20op?options=-c%20search_path%3Dx`,
  `postgres://app:${encodeURIComponent(PASSWORD)}@localhost`,
  // As people write it who never heard of percent-encoding.
  `postgres://app:${PASSWORD}@${HOST}/shop`,
  `postgres://app:mArKer@${PASSWORD}@${HOST}/shop`,
];

describe("parseEndpoint, for any text,", () => {
  test("ends in a complete endpoint, or in a refusal that quotes nothing of it", () => {
    const texts = fc.oneof(...VALID.map(mutantTexts), hostileText);
    fc.assert(
      fc.property(texts, (text) => {
        const { value: endpoint, error } = outcomeOf(() => parseEndpoint(text));

        expect(error?.code).toBe(endpoint === null ? "DATABASE_URL_INVALID" : undefined);
        expect(error?.message ?? "").not.toContain("mArKer");
        if (endpoint !== null) expectComplete(endpoint);
      }),
      { numRuns: tries(150, 1_000) },
    );
  });

  test("puts no piece of a password anywhere else, whatever is not encoded in it", () => {
    const odd = fc.string({ unit: fc.constantFrom(..."@/?#:&=%+ \\[]".split(""), "1", "mArKer") });
    fc.assert(
      fc.property(
        odd,
        odd,
        fc.constantFrom("", "/shop", "/shop?sslmode=require"),
        (one, two, rest) => {
          const text = `postgres://app:mArKer${one}mArKer${two}mArKer@${HOST}${rest}`;
          const { value, error } = outcomeOf(() => parseEndpoint(text));

          const { password: _password, ...shown } = value ?? { password: null };
          expect(JSON.stringify(shown)).not.toContain("mArKer");
          expect(error?.message ?? "").not.toContain("mArKer");
        },
      ),
      { numRuns: tries(150, 1_000) },
    );
  });

  test("gives back every part that was percent-encoded", () => {
    // A path of dots is resolved, encoded or not (WHATWG URL): no connection string can name such a database.
    const part = fc
      .string({ unit: "grapheme", minLength: 1 })
      .filter((text) => !text.includes("\0") && !/^\.+$/.test(text));
    fc.assert(
      fc.property(
        part,
        part,
        part,
        fc.integer({ min: 1, max: 65_535 }),
        (user, password, database, port) => {
          const [login, secret, name] = [user, password, database].map(encodeURIComponent);

          const endpoint = parseEndpoint(
            `postgres://${login}:${secret}@host.example:${port}/${name}`,
          );

          expect(endpoint).toMatchObject({ user, password, database, port, host: "host.example" });
        },
      ),
      { numRuns: tries(150, 1_000) },
    );
  });
});

function expectComplete(endpoint: ReturnType<typeof parseEndpoint>): void {
  const { host, port, user, password, database, options, warnings } = endpoint;
  for (const text of [host, user, database]) expect(text).not.toBe("");
  for (const text of [host, user, password, database, options]) {
    // The startup message ends each of its texts with a zero byte.
    expect(text ?? "").not.toContain("\0");
  }
  expect(port).toBeGreaterThan(0);
  expect(port).toBeLessThanOrEqual(65_535);
  for (const { message } of warnings) expect(message).not.toContain("mArKer");
}
