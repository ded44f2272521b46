import { commit, cut } from "./cut.ts";
import { deadlock } from "./deadlock.ts";
import { besideDrizzle } from "./drizzle.ts";
import { freeze, stall } from "./freeze.ts";
import { kill } from "./kill.ts";
import { race } from "./race.ts";
import { fastRestart, immediateRestart } from "./restart.ts";
import { second } from "./second.ts";
import { silence } from "./silence.ts";
import { terminate } from "./terminate.ts";
import { traffic } from "./traffic.ts";
import type { Scenario } from "./trial.ts";

/** Everything that is tried, in this order. */
export const SCENARIOS: readonly Scenario[] = [
  kill,
  cut,
  commit,
  terminate,
  silence,
  freeze,
  stall,
  race,
  second,
  besideDrizzle,
  traffic,
  deadlock,
  fastRestart,
  immediateRestart,
];
