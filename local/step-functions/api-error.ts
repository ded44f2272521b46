/** An error of the API. */
export class ApiError extends Error {
  constructor(type: string, message: string) {
    super(message);
    this.name = type;
  }
}
