export { DEMO_TOOLS, runDemo } from "./demo.ts";
export { narrator, StepFailed } from "./narrator.ts";
export { serveResource } from "./resource.ts";
