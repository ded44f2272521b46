/**
 * The parts for calls that name their database, and for the steps of a fleet: one file of the built function. A file for each
 * would cut the part of every start into more pieces.
 */

export { aim } from "./aim.ts";
export { answerStep } from "./answer-step.ts";
