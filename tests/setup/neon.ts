import { afterAll, beforeAll, expect } from "vitest";
import { type Contract, readContract } from "../../local/neon/contract.ts";
import { type LocalNeon, type NeonOptions, startNeon } from "../../local/neon/neon.ts";
import { type Relay, startRelay } from "../../local/relay/relay.ts";

/** An answer of the stand-in. */
export interface ApiAnswer {
  readonly status: number;
  /** Null where there was none. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at what it expects
  readonly body: any;
  readonly headers: Headers;
}

/** A stand-in for Neon's API, a relay that leads to its branches, and a way to call it. */
export interface NeonScene {
  readonly neon: LocalNeon;
  readonly relay: Relay;
  /** Calls the API. @param path the part behind the project's own */
  call(method: string, path: string, body?: unknown, key?: string): Promise<ApiAnswer>;
  /** Makes a branch with an endpoint, and waits until it is there. @returns its name */
  makeBranch(branch?: object): Promise<string>;
  /** Deletes all branches but the first, by the API. */
  deleteBranches(): Promise<void>;
  /** Makes a relay's address that names a connection string's host, as the driver asks for it. */
  towards(url: string): string;
}

let contract: Promise<Contract> | null = null;

/** Reads Neon's document once for all tests of a process. */
export function neonContract(): Promise<Contract> {
  contract ??= readContract();
  return contract;
}

/** Starts a stand-in for the tests of a file, and ends it behind them. Its answers must keep to Neon's document. */
export function useNeon(options: NeonOptions = {}): NeonScene {
  let neon: LocalNeon | undefined;
  let relay: Relay | undefined;
  let made = 0;
  beforeAll(async () => {
    const started = await startNeon({ contract: await neonContract(), ...options });
    neon = started;
    // Nobody listens on port 9: no host may lead there.
    const target = { host: "127.0.0.1", port: 9 };
    relay = await startRelay({ target, mode: "neon", route: (host) => started.route(host) });
  });
  afterAll(async () => {
    await relay?.stop();
    await neon?.stop();
    expect(neon?.problems).toEqual([]);
  });
  const scene: NeonScene = {
    get neon() {
      return needed(neon);
    },
    get relay() {
      return needed(relay);
    },
    call: async (method, path, body, key = scene.neon.apiKey) => {
      const { url, projectId } = scene.neon;
      const answer = await fetch(`${url}/projects/${projectId}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return {
        status: answer.status,
        body: text === "" ? null : JSON.parse(text),
        headers: answer.headers,
      };
    },
    makeBranch: async (branch = {}) => {
      made += 1;
      const name = `branch-${made}`;
      const endpoints = [{ type: "read_write" }];
      await scene.neon.idle();
      const { status, body } = await scene.call("POST", "/branches", {
        branch: { name, ...branch },
        endpoints,
      });
      expect([status, body.message]).toEqual([201, undefined]);
      await scene.neon.idle();
      await expectFinished(scene, body.operations);
      return body.branch.name;
    },
    deleteBranches: async () => {
      await scene.neon.idle();
      const { branches } = (await scene.call("GET", "/branches")).body;
      for (const { id, default: isDefault } of branches) {
        if (isDefault) continue;
        await scene.call("DELETE", `/branches/${id}`);
        await scene.neon.idle();
      }
    },
    towards: (url) => `${scene.relay.address}?address=${new URL(url).host}`,
  };
  return scene;
}

/** Fails the test where an operation did not end well, with what the server says about it. */
export async function expectFinished(
  { call }: NeonScene,
  operations: readonly { readonly id: string }[],
): Promise<void> {
  for (const { id } of operations) {
    const { operation } = (await call("GET", `/operations/${id}`)).body;
    expect([operation.action, operation.status, operation.error]).toEqual([
      operation.action,
      "finished",
      undefined,
    ]);
  }
}

function needed<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("The stand-in is not up.");
  return value;
}
