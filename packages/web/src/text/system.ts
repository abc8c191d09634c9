import type { Message } from '../api/types.ts'
import { t } from '../i18n/index.ts'

const STATUSES = { archived: 'system_archived', locked: 'system_locked', active: 'system_active' } as const

/** What a message of the system tells, in the language of who reads; one that is not known here, as it was written. */
export function systemText({ content, metadata, sender }: Message, me: string): string {
  const { event, user_id, actor_id, display_name, status, title } = metadata as Record<string, string | undefined>
  const names = { actor: sender.display_name, name: display_name ?? t('former_person') }
  switch (event) {
    case 'participant_added':
      return t(actor_id === me ? 'system_you_added' : user_id === me ? 'system_added_you' : 'system_added', names)
    case 'participant_removed':
      return t(actor_id === me ? 'system_you_removed' : 'system_removed', names)
    case 'participant_left':
      return t('system_left', names)
    case 'title_changed':
      return title ? t(actor_id === me ? 'system_you_titled' : 'system_titled', { ...names, title }) : t('system_untitled', names)
    case 'status_changed':
      return isStatus(status) ? t(STATUSES[status]) : content
    default:
      return content
  }
}

const isStatus = (status: string | undefined): status is keyof typeof STATUSES => status !== undefined && Object.hasOwn(STATUSES, status)
