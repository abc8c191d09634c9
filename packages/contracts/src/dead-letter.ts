/** An event that a consumer could not apply, with all that is needed to look into it and to try it again. */
export interface DeadLetter {
  /** Names the event, so that a copy of it makes no second letter. */
  readonly key: string
  readonly reason: string
  /** What was said of it, without a stack. */
  readonly error: string
  readonly subject: string
  readonly stream: string
  readonly stream_seq: number
  readonly published_at: string
  readonly first_failed_at: string
  readonly deliveries: number
  readonly payload: Uint8Array
}
