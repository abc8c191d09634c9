import type { Capability, Participant } from '@parley/contracts'

/** In larger conversations not everyone may call everyone. */
export const MENTION_ALL_MAX = 100

const SHARED: ReadonlySet<string> = new Set(['project', 'support', 'announcement'])

/** Whether whoever comes into a conversation of this type sees what was said before, where nobody says otherwise. */
export const historyOf = (type: string): 'all' | 'joined' => (SHARED.has(type) ? 'all' : 'joined')

/** What a role may do in a conversation as it is now; `rules.ts` refuses the rest, the send functions what is sent. */
export function capabilitiesOf(
  { type, status, participant_count }: { type: string; status: string; participant_count: number },
  role: Participant['role']
): Capability[] {
  const isManager = role === 'owner' || role === 'admin'
  const isDirect = type === 'direct'
  const can: Capability[] = []
  if (status === 'active') {
    if (type !== 'announcement' || isManager) can.push('send')
    can.push('react')
    if (isDirect || type === 'group' || isManager) can.push('pin')
    if (isManager || participant_count <= MENTION_ALL_MAX) can.push('mention_all')
  }
  if (isDirect) return can
  if (isManager) can.push('add_participants', 'remove_participants', 'change_roles', 'edit_conversation')
  can.push('leave')
  return can
}
