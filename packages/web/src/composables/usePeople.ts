import type { Conversation, Participant, User } from '../api/types.ts'
import { t } from '../i18n/index.ts'
import { useMessagingStore } from '../stores/messagingStore.ts'
import { useUiStore } from '../stores/uiStore.ts'
import { useRefusals } from './useRefusals.ts'
import { useSocket } from './useSocket.ts'

const PAGE = 100

/** Who is in a conversation, and what its managers do about that; each deed says so when it is refused. */
export function usePeople() {
  const messaging = useMessagingStore()
  const ui = useUiStore()
  const { sayWhy } = useRefusals()
  const { api } = useSocket()

  // The answer is put in place at once; the frame that tells everybody of it comes to the same.
  async function add({ id }: Conversation, user: User): Promise<boolean> {
    try {
      messaging.putParticipant(id, 0, await api.addParticipant(id, user.id), 'added')
      ui.say(t('person_added', { name: user.display_name }))
      return true
    } catch (error) {
      sayWhy(error, 'add_failed')
      return false
    }
  }

  async function changeRole({ id }: Conversation, { user_id }: Participant, role: Participant['role']): Promise<boolean> {
    try {
      messaging.putParticipant(id, 0, await api.changeRole(id, user_id, role), 'updated')
      return true
    } catch (error) {
      sayWhy(error, 'change_failed')
      return false
    }
  }

  async function remove({ id }: Conversation, participant: Participant): Promise<void> {
    try {
      await api.removeParticipant(id, participant.user_id)
      messaging.putParticipant(id, 0, participant, 'removed')
      ui.say(t('person_removed', { name: participant.display_name }))
    } catch (error) {
      sayWhy(error, 'remove_failed')
    }
  }

  /**
   * Reads the next hundred people who are not known here yet.
   *
   * @returns whether there may be more
   */
  async function loadMore({ id, participants }: Conversation): Promise<boolean> {
    const answer = await api.participants(id, Math.floor(participants.length / PAGE) + 1)
    messaging.putPeople(id, answer.participants)
    const grown = (messaging.conversations.get(id)?.participants.length ?? 0) > participants.length
    return grown && answer.pagination.has_next
  }

  return { add, changeRole, remove, loadMore, find: api.people }
}
