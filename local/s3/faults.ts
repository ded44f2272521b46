import { type Denial, Denials } from "../aws/denials.ts";
import { S3Error } from "./errors.ts";

/** One request that was answered, whatever the answer was. */
export interface S3Call {
  /** `GetObject`, `PutObject`, … */
  readonly operation: string;
  readonly bucket: string;
  /** The key, or the prefix of a list. */
  readonly key: string;
  readonly status: number;
}

/** The operations that a denial or a fault is about. */
export type S3Operation =
  | "GetObject"
  | "HeadObject"
  | "PutObject"
  | "DeleteObject"
  | "ListObjectsV2";

/** What a denial is about. */
interface Denied {
  readonly bucket: string;
  readonly prefix: string;
  /** Absent: all operations. */
  readonly operations: readonly S3Operation[] | undefined;
}

/** The faults on command. */
export class Faults {
  delayMs = 0;
  readonly #denied: { readonly denied: Denied; readonly denials: Denials }[] = [];
  readonly #failures = new Map<string, { readonly code: string; count: number }>();

  deny(denied: Denied, denial: Denial): void {
    const denials = new Denials();
    denials.deny("", denial);
    this.#denied.push({ denied, denials });
  }

  fail(operation: string, code: string, count: number): void {
    this.#failures.set(operation, { code, count });
  }

  /** @throws S3Error where a request is denied, or is to fail */
  check({ operation, bucket, key }: Pick<S3Call, "operation" | "bucket" | "key">): void {
    if (this.isDenied({ operation, bucket, key })) throw new S3Error("AccessDenied", {});
    const failure = this.#failures.get(operation);
    if (failure === undefined || failure.count === 0) return;
    failure.count -= 1;
    throw new S3Error(failure.code, {});
  }

  isDenied({ operation, bucket, key }: Pick<S3Call, "operation" | "bucket" | "key">): boolean {
    return this.#denied.some(
      ({ denied, denials }) =>
        denied.bucket === bucket &&
        key.startsWith(denied.prefix) &&
        (denied.operations?.some((each) => each === operation) ?? true) &&
        denials.strikes(""),
    );
  }
}
