/** What went through one connection, or through all of them. */
export interface Traffic {
  /**
   * How often the client sent something and then had the word back: from a server that had answered
   * everything, or that asked during the login. Answers that arrive while the client may go on sending
   * do not count, nor do the upgrade and a goodbye.
   */
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

  /**
   * Something reaches the client.
   * @param handsOver whether that gives it the word, which ends a round trip
   */
  received(bytes: number, handsOver: boolean): void {
    if (this.#awaiting && handsOver) this.#roundTrips += 1;
    if (handsOver) this.#awaiting = false;
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

/** ReadyForQuery: its letter and its length; the state of the transaction follows in one byte. */
const READY_FOR_QUERY = Buffer.from("Z\0\0\0\u0005", "latin1");

/** Follows what a server sends, and knows when the client has the word. */
export class Turn {
  #tail: Buffer = Buffer.alloc(0);
  #loggedIn = false;

  /** Whether the client has the word behind these bytes. During the login every answer may be a question. */
  handsOver(bytes: Buffer): boolean {
    this.#tail = Buffer.concat([this.#tail, bytes.subarray(-6)]).subarray(-6);
    const ready = this.#tail.subarray(0, 5).equals(READY_FOR_QUERY);
    this.#loggedIn ||= ready;
    return ready || !this.#loggedIn;
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
