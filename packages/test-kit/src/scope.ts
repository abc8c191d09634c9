/** Where what was opened is closed again: a tap test, or whatever else ends. The last opened is closed first. */
export interface Scope {
  teardown(close: () => unknown): void
}
