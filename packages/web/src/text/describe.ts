import type { Conversation, Message } from '../api/types.ts'
import { t } from '../i18n/index.ts'
import { systemText } from './system.ts'

/** What a conversation is called: its title, or the other person. */
export function titleOf(conversation: Conversation, me: string): string {
  if (conversation.title) return conversation.title
  const others = conversation.participants.filter(({ user_id }) => user_id !== me).map(({ display_name }) => display_name)
  if (conversation.type === 'direct') return conversation.participant?.display_name ?? others[0] ?? t('former_person')
  return others.slice(0, 4).join(', ') || t('untitled')
}

/** Whose colour and letters stand for a conversation. */
export function faceOf(conversation: Conversation, me: string): { id: string; name: string } {
  const id = conversation.type === 'direct' ? conversation.participant?.id : undefined
  return { id: id ?? conversation.id, name: titleOf(conversation, me) }
}

/** The last line of a conversation, in one line, with who said it where that is not plain. */
export function previewOf(conversation: Conversation, message: Message | null, me: string): string {
  if (!message) return t('no_messages')
  if (message.content_type === 'system') return systemText(message, me)
  const text = message.is_deleted ? t('deleted_preview') : message.content.replace(/\s+/gu, ' ').slice(0, 200)
  if (message.sender_id === me) return t('you_prefix', { text })
  return conversation.type === 'direct' ? text : t('name_prefix', { name: message.sender.display_name, text })
}
