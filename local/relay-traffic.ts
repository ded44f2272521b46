/** What went through one connection, or through all of them. */
export interface Traffic {
  /** Changes from sending to receiving, as the client sees them; neither the upgrade nor a goodbye counts. */
  readonly roundTrips: number;
  readonly bytesToServer: number;
  readonly bytesToClient: number;
}

/** What went through a relay since it was started or its counters were reset. */
export interface RelayStats extends Traffic {
  /** Connections that were opened in this time. */
  readonly connections: number;
  /** One entry per connection, in the order in which they were opened. */
  readonly perConnection: readonly Traffic[];
}

/** Counts for one connection. */
export class TrafficCounter {
  #roundTrips = 0;
  #bytesToServer = 0;
  #bytesToClient = 0;
  #awaiting = false;

  /** The client sends, and may wait for an answer. */
  sent(bytes: number): void {
    this.#awaiting = true;
    this.#bytesToServer += bytes;
  }

  /** Something reaches the client: that ends a round trip, if it was waiting. */
  received(bytes: number): void {
    if (this.#awaiting) this.#roundTrips += 1;
    this.#awaiting = false;
    this.#bytesToClient += bytes;
  }

  reset(): void {
    this.#roundTrips = 0;
    this.#bytesToServer = 0;
    this.#bytesToClient = 0;
    this.#awaiting = false;
  }

  read(): Traffic {
    return {
      roundTrips: this.#roundTrips,
      bytesToServer: this.#bytesToServer,
      bytesToClient: this.#bytesToClient,
    };
  }
}

/** Adds the connections of a relay up. */
export function totalTraffic(perConnection: readonly Traffic[], connections: number): RelayStats {
  const sum = (pick: (traffic: Traffic) => number) =>
    perConnection.reduce((total, traffic) => total + pick(traffic), 0);
  return {
    connections,
    roundTrips: sum((traffic) => traffic.roundTrips),
    bytesToServer: sum((traffic) => traffic.bytesToServer),
    bytesToClient: sum((traffic) => traffic.bytesToClient),
    perConnection,
  };
}
