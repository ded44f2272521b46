/** An answer that refuses a call. */
export class Refusal extends Error {
  override readonly name: string = "Refusal";
  readonly status: number;
  readonly code: string;

  constructor(status: number, message: string, code = "") {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** What the API says to a mutation while an operation of the project has not ended. */
export const LOCKED = new Refusal(
  423,
  "project already has running conflicting operations, scheduling of new ones is prohibited",
);
