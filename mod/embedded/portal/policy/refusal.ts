/** Something that the portal was asked to do and doesn't, with the HTTP status that says so. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  /** @param message ends a sentence such as `Cannot add the client:`, and says what to do */
  constructor(readonly status: 400 | 404 | 409 | 503, message: string) {
    super(message);
  }
}
