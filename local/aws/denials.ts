/** How long a right is missing. Default: for good. */
export interface Denial {
  /** So many ms from now: a grant that AWS has accepted, and does not know everywhere yet. */
  readonly forMs?: number;
  /** So many calls. */
  readonly forCalls?: number;
}

/** The rights that a stand-in denies, by the names of what they are for. */
export class Denials {
  readonly #ends = new Map<string, { readonly atMs: number; calls: number }>();

  /** Denies a right; a right that is denied already is denied for this time instead. */
  deny(name: string, { forMs, forCalls }: Denial = {}): void {
    const atMs = forMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + forMs;
    this.#ends.set(name, { atMs, calls: forCalls ?? Number.POSITIVE_INFINITY });
  }

  /** Whether this call is denied. It counts as one. */
  strikes(name: string): boolean {
    const end = this.#ends.get(name);
    if (end === undefined) return false;
    end.calls -= 1;
    if (end.calls >= 0 && performance.now() < end.atMs) return true;
    this.#ends.delete(name);
    return false;
  }
}

/** IAM's words for a right that no policy gives. */
export function notAuthorized(action: string, resource: string): string {
  return `User: arn:aws:sts::123456789012:assumed-role/local/local is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`;
}
