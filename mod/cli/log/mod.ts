export { DEFAULT_LEVEL, type Level, type LogFilter, parseLogFilter, passes } from "./filter.ts";
export { formatHuman, formatJson } from "./format.ts";
export { type LogFormat, startLogging } from "./start.ts";
