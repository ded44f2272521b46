import { MigratorError } from "../errors.ts";
import { asText, isRecord } from "../json.ts";
import type { Log } from "../log.ts";
import type { CarryOutDependencies } from "../rehearsal/carry-out.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import { assertAllowed, readAllowed } from "../target/allowed.ts";
import { readNeonKey, readNeonWay } from "../target/neon-access.ts";
import type { Target } from "../target/target.ts";
import { readTargetReference, type TargetReference } from "../target-reference.ts";
import { resolveTenant, signReport, type TenantDependencies } from "./tenant.ts";

/** The call of the function by which a request came; see `HandlerCall`. */
export interface AimedCall {
  readonly log: Log;
  readonly moments: { readonly deadline: number };
  sign: (report: Report) => Report;
  hide(secret: string): void;
  readonly resolve: TenantDependencies["resolve"];
  bundleHashes(): Promise<{ readonly whole: string }>;
  target(rightsBy?: number): Promise<Target>;
}

/** A request that names its database or its bundle, made an ordinary one. */
export interface Aim {
  readonly request: Request;
  /** Reads where the database is, anew each time. */
  target(rightsBy: number): Promise<Target>;
  /** The way to the project of the tenant, where the reference names it. */
  readonly access: Pick<CarryOutDependencies, "access">;
}

/**
 * Aims a request: at the bundle that it expects, and at the database that it names. Both are judged before anything is read
 * or connected to.
 * @throws MigratorError `REQUEST_INVALID`, `TARGET_DENIED`, `BUNDLE_MISMATCH`
 */
export async function aim(request: Request, call: AimedCall): Promise<Aim> {
  const plain = { ...request, target: null, expect: null };
  const reference = request.target === null ? null : readTargetReference(request.target);
  if (reference !== null) {
    call.sign = (report) => signReport(report, reference.id);
    assertAllowed(reference, readAllowed());
  }
  await assertExpected(request.expect, call);
  if (reference === null) {
    return { request: plain, target: (rightsBy) => call.target(rightsBy), access: {} };
  }
  let asked = false;
  return {
    request: plain,
    async target(rightsBy) {
      // Only the first reading waits, as for the function's own database.
      const until = asked ? 0 : rightsBy;
      asked = true;
      const { log, moments } = call;
      const target = await resolveTenant(reference, {
        ...{ resolve: call.resolve, deadline: moments.deadline },
        patience: { until, log },
      });
      call.hide(target.url);
      return target;
    },
    access: accessOf(reference, call),
  };
}

async function assertExpected(expected: unknown, call: AimedCall): Promise<void> {
  if (expected === null) return;
  const hash = isRecord(expected) ? asText(expected.hash) : "";
  if (!/^[0-9a-f]{64}$/.test(hash) || Object.keys(Object(expected)).length !== 1) {
    throw new MigratorError(
      "REQUEST_INVALID",
      'The request\'s expect is not of the form {"hash":"…"}, with the 64 hexadecimal digits of a bundle.',
    );
  }
  const { whole } = await call.bundleHashes();
  if (whole === hash) return;
  throw new MigratorError(
    "BUNDLE_MISMATCH",
    `The function holds the bundle ${whole.slice(0, 12)}, and the request expects ${hash.slice(0, 12)}: another version of the function answered than the one that was meant. Nothing was run. Start again, so that all tenants get the bundle that is deployed now.`,
  );
}

function accessOf(reference: TargetReference, { log, moments }: AimedCall): Aim["access"] {
  if (!("neon" in reference)) return {};
  const { project } = reference.neon;
  return {
    access: async () => {
      const { key, url } = readNeonWay();
      const patience = { until: moments.deadline, log };
      return { key: await readNeonKey(key, patience), url, projectId: project };
    },
  };
}
