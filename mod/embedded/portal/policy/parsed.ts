/** A schema for text that has a parser. */
import * as v from "valibot";

/** @param message what is wrong when `parse` gives undefined; the value is not quoted, as it may be a secret */
export function parsed<T>(parse: (text: string) => T | undefined, message: string) {
  return v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message });
      return NEVER;
    }),
  );
}
