import { LOCAL_ACCOUNT } from "../aws/account.ts";

/** A resource of a template. */
export interface TemplateResource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly DependsOn?: string | readonly string[];
  readonly DeletionPolicy?: string;
}

/** A template in JSON, as CDK uploads it. */
export interface Template {
  readonly Resources: Readonly<Record<string, TemplateResource>>;
  readonly Outputs?: Readonly<Record<string, { readonly Value: unknown }>>;
}

/** Finds a resource's physical id, or one of its attributes. */
export type Lookup = (id: string, attribute: string | null) => string;

const PSEUDO: Readonly<Record<string, string>> = {
  "AWS::AccountId": LOCAL_ACCOUNT.id,
  "AWS::Region": LOCAL_ACCOUNT.region,
  "AWS::Partition": "aws",
  "AWS::URLSuffix": "amazonaws.com",
};

/** Returns the ids of the resources, each behind those that it depends on. Parameters are left out. */
export function inOrder({ Resources }: Template): readonly string[] {
  const ordered = new Set<string>();
  const visit = (id: string) => {
    const resource = Resources[id];
    if (resource === undefined || ordered.has(id)) return;
    for (const each of [resource.DependsOn ?? [], referencesIn(resource.Properties)].flat()) {
      visit(each);
    }
    ordered.add(id);
  };
  for (const id of Object.keys(Resources)) visit(id);
  return [...ordered];
}

function referencesIn(value: unknown): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    if (key === "Ref") return [String(each)];
    if (key === "Fn::GetAtt") return [String(each[0])];
    return referencesIn(each);
  });
}

/** Replaces the intrinsic functions in a value, as far as CDK's templates of this package have them. */
export function resolveValue(value: unknown, lookup: Lookup): unknown {
  if (Array.isArray(value)) return value.map((each) => resolveValue(each, lookup));
  if (typeof value !== "object" || value === null) return value;
  const [[name, argument] = ["", null], ...more] = Object.entries(value);
  if (more.length === 0 && (name === "Ref" || name.startsWith("Fn::"))) {
    return call(name, argument, lookup);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, resolveValue(each, lookup)]),
  );
}

function call(name: string, argument: unknown, lookup: Lookup): unknown {
  const read = (id: string) => PSEUDO[id] ?? lookup(id, null);
  if (name === "Ref") return read(String(argument));
  if (name === "Fn::Sub") {
    return String(argument).replaceAll(/\$\{([^}]+)\}/g, (_match, id: string) => read(id));
  }
  const words: unknown = resolveValue(argument, lookup);
  if (!Array.isArray(words)) throw new Error(`This stand-in does not have ${name}.`);
  if (name === "Fn::GetAtt") return lookup(String(words[0]), String(words[1]));
  if (name === "Fn::Join") return words[1].join(words[0]);
  throw new Error(`This stand-in does not have ${name}.`);
}
