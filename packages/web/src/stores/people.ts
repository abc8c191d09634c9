import type { Conversation, Participant } from '../api/types.ts'

export type Coming = 'added' | 'updated' | 'removed'

/** People of a conversation as far as they are known here: the first hundred come with it, others when somebody looks. */
interface People {
  participants: readonly Participant[]
  participant_count: number
}

export function knowsEveryone({ participants, participant_count }: People): boolean {
  return participants.length >= participant_count
}

/**
 * Puts a person in or takes them out. Where everybody is known the count follows from who is there; elsewhere it is
 * moved by what a frame tells for the first time, and by nothing else.
 */
export function putPerson(people: People, participant: Participant, what: Coming | undefined, isNews: boolean): People {
  const { participants, participant_count } = people
  const all = knowsEveryone(people)
  const at = participants.findIndex(({ user_id }) => user_id === participant.user_id)
  // Nobody can tell whether the count has them already.
  if (!all && !isNews && what !== 'updated') return people
  const stays = what ? what !== 'removed' : participant.is_active
  const next = !stays
    ? participants.filter((_, index) => index !== at)
    : at < 0
      ? [...participants, participant]
      : participants.with(at, { ...participants[at], ...participant })
  const moved = what === 'added' && at < 0 ? 1 : what === 'removed' ? -1 : 0
  return { participants: next, participant_count: all ? next.length : participant_count + (isNews ? moved : 0) }
}

/** How far all others have read; 0 where not all of them are known here. */
export function readSeqOf(conversation: Conversation, me: string): number {
  const others = conversation.participants.filter(({ user_id }) => user_id !== me)
  if (others.length === 0 || !knowsEveryone(conversation)) return 0
  return Math.min(...others.map(({ last_read_seq }) => last_read_seq))
}

/** Adds those who are not there yet, behind the others. */
export function withOthers(participants: readonly Participant[], others: readonly Participant[]): Participant[] {
  const known = new Set(participants.map(({ user_id }) => user_id))
  return [...participants, ...others.filter(({ user_id }) => !known.has(user_id))]
}
