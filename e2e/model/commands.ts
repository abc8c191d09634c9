import fc from 'fast-check'

/** What somebody does. Numbers choose among what there is at that moment, so every command can be run anywhere. */
export type Command =
  | { do: 'nothing' }
  | { do: 'send'; who: number; bySocket: boolean }
  | { do: 'send at once'; count: number; kill: 'gateway' | 'message-store' | null; which: number }
  | { do: 'retry'; which: number }
  | { do: 'edit'; which: number; bySocket: boolean }
  | { do: 'delete'; which: number; bySocket: boolean }
  | { do: 'read'; who: number; upTo: number; bySocket: boolean }
  | { do: 'join'; who: number }
  | { do: 'leave'; who: number }
  | { do: 'disconnect'; which: number }
  | { do: 'reconnect'; which: number }
  | { do: 'kill'; service: 'gateway' | 'message-store'; which: number }

const any = fc.nat({ max: 1_000 })
const service = fc.constantFrom<'gateway' | 'message-store'>('gateway', 'message-store')
const bySocket = fc.boolean()

function command<D extends Command['do']>(
  weight: number,
  what: D,
  fields: { [K in keyof Omit<Extract<Command, { do: D }>, 'do'>]: fc.Arbitrary<Extract<Command, { do: D }>[K]> }
): { weight: number; arbitrary: fc.Arbitrary<Command> } {
  return { weight, arbitrary: fc.record({ do: fc.constant(what), ...fields }) as unknown as fc.Arbitrary<Command> }
}

/** Forty commands. A failure is made smaller by turning commands into `nothing`. */
export const script = fc.array(
  fc.oneof(
    { withCrossShrink: true },
    command(1, 'nothing', {}),
    command(14, 'send', { who: any, bySocket }),
    command(4, 'send at once', { count: fc.integer({ min: 2, max: 8 }), kill: fc.option(service, { freq: 2 }), which: any }),
    command(4, 'retry', { which: any }),
    command(6, 'edit', { which: any, bySocket }),
    command(5, 'delete', { which: any, bySocket }),
    command(6, 'read', { who: any, upTo: any, bySocket }),
    command(4, 'join', { who: any }),
    command(3, 'leave', { who: any }),
    command(4, 'disconnect', { which: any }),
    command(5, 'reconnect', { which: any }),
    command(1, 'kill', { service, which: any })
  ),
  { minLength: 40, maxLength: 40 }
)
