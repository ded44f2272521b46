import { isRecord } from "../../lib/json.ts";
import { InvalidDefinition, NotStoodIn } from "./errors.ts";
import { compile, type Evaluate } from "./expressions.ts";

/** An object of a definition, read field by field. */
export class Fields {
  readonly path: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  /** @throws InvalidDefinition for anything but an object */
  constructor(path: string, value: unknown) {
    if (!isRecord(value)) throw new InvalidDefinition(path, "an object is expected.");
    this.path = path;
    this.#fields = value;
  }

  /** @throws NotStoodIn for a field that is not in the list */
  allow(names: readonly string[]): void {
    const foreign = Object.keys(this.#fields).find((name) => !names.includes(name));
    if (foreign !== undefined) throw new NotStoodIn(`${this.path}.${foreign}`);
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  value(name: string): unknown {
    return this.#fields[name];
  }

  /** @throws InvalidDefinition for anything but a text that is not empty */
  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value === "string" && value !== "") return value;
    throw new InvalidDefinition(`${this.path}.${name}`, "a text is expected.");
  }

  /** @throws NotStoodIn for any other value than the one that is stood in for */
  only(name: string, ...values: readonly string[]): void {
    const value = this.text(name);
    if (!values.includes(value)) throw new NotStoodIn(`${this.path}.${name} ${value}`);
  }

  /** @throws InvalidDefinition for a number outside of the limits */
  number(name: string, byDefault: number, min: number, max = Number.POSITIVE_INFINITY): number {
    const value = this.#fields[name] ?? byDefault;
    if (typeof value === "number" && value >= min && value <= max) return value;
    throw new InvalidDefinition(`${this.path}.${name}`, `a number of ${min} or more is expected.`);
  }

  /** Compiles a field that may hold expressions; null where it is absent. */
  template(name: string): Evaluate | null {
    if (!this.has(name)) return null;
    return compile(this.#fields[name], `${this.path}.${name}`, name);
  }

  /** Reads a list of objects. An absent one is empty. */
  list(name: string): readonly Fields[] {
    const value = this.#fields[name] ?? [];
    if (!Array.isArray(value)) {
      throw new InvalidDefinition(`${this.path}.${name}`, "a list is expected.");
    }
    return value.map((each, n) => new Fields(`${this.path}.${name}[${n}]`, each));
  }

  texts(name: string): readonly string[] {
    const value = this.#fields[name];
    if (
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((each) => typeof each === "string")
    ) {
      return value;
    }
    throw new InvalidDefinition(`${this.path}.${name}`, "a list of texts is expected.");
  }

  object(name: string): Fields {
    return new Fields(`${this.path}.${name}`, this.#fields[name]);
  }

  names(): readonly string[] {
    return Object.keys(this.#fields);
  }
}
