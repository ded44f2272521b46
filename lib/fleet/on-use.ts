/**
 * The parts for calls that name their database, that are a step of a fleet, or that begin with a rehearsal: one file of the
 * built function. A file for each would cut the part of every start into more pieces.
 */

export { carryOut } from "../rehearsal/carry-out.ts";
export { aim } from "./aim.ts";
export { answerStep } from "./answer-step.ts";
