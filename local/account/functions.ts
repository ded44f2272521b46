import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { type LocalLambda, startLambda } from "../lambda/lambda.ts";
import type { LocalLambdaService } from "../lambda/service.ts";
import { unzip } from "./unzip.ts";

/** The functions of an account, each with the code that it had last and the code that it has. */
export interface AccountFunctions {
  /** Gives a function its code, which is a zip archive. Code that is not ours is kept, but not run. */
  deploy(name: string, code: Buffer, variables: Readonly<Record<string, string>>): void;
  /** Gives a function other code. @throws Error where there is none of the name */
  update(name: string, code: Buffer): void;
  /** Gives a function the code back that it had before the last one. */
  restore(name: string): void;
  remove(name: string): void;
  has(name: string): boolean;
  /** Returns the function of a name or an ARN. @throws Error where there is none */
  find(nameOrArn: string): LocalLambda;
  stop(): Promise<void>;
}

interface Code {
  readonly lambda: LocalLambda | null;
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Makes the functions of an account.
 * @param scratch a folder for their code
 * @param given variables that every function gets beside its own
 */
export function makeFunctions(
  scratch: string,
  service: LocalLambdaService,
  given: () => Readonly<Record<string, string>>,
): AccountFunctions {
  const codes = new Map<string, readonly Code[]>();
  const all: LocalLambda[] = [];
  const last = (name: string) => codes.get(name)?.at(-1);
  const show = (name: string) => {
    const lambda = last(name)?.lambda;
    if (lambda != null) service.deploy(lambda);
  };

  const deploy: AccountFunctions["deploy"] = (name, archive, variables) => {
    const folder = join(scratch, `code-${name}-${all.length}-${codes.get(name)?.length ?? 0}`);
    mkdirSync(folder);
    unzip(archive, folder);
    const lambda = existsSync(join(folder, "index.mjs"))
      ? startLambda({
          handlerDirectory: folder,
          environment: { ...variables, ...given() },
          functionArn: arnOf(name),
        })
      : null;
    if (lambda !== null) all.push(lambda);
    codes.set(name, [...(codes.get(name) ?? []), { lambda, variables }]);
    show(name);
  };
  return {
    deploy,
    update: (name, archive) => {
      const before = last(name);
      if (before === undefined) throw new Error(`Function not found: ${arnOf(name)}`);
      deploy(name, archive, before.variables);
    },
    restore: (name) => {
      codes.set(name, codes.get(name)?.slice(0, -1) ?? []);
      show(name);
    },
    remove: (name) => {
      codes.delete(name);
      service.remove(name);
    },
    has: (name) => codes.has(name),
    find: (nameOrArn) => {
      const name = nameOrArn.split(":").at(-1) ?? "";
      const lambda = last(name)?.lambda;
      if (lambda == null) throw new Error(`Function not found: ${arnOf(name)}`);
      return lambda;
    },
    stop: async () => {
      await Promise.all(all.map((lambda) => lambda.stop()));
    },
  };
}

/** Returns the ARN of a function in this account. */
export function arnOf(name: string): string {
  return `arn:aws:lambda:${LOCAL_ACCOUNT.region}:${LOCAL_ACCOUNT.id}:function:${name}`;
}
