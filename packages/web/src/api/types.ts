import type { Message, Participant, SearchResult, SharedConversation, User, Conversation as WholeConversation } from '@parley/contracts'

export type { Capability, Message, Mine, Participant, SearchResult, SharedConversation, User } from '@parley/contracts'

/** Here the last message is as everybody sees it, since live frames put it in place. */
export type Conversation = Omit<WholeConversation, 'last_message'> & { last_message: Message | null }

/** Answers of the public interface, as far as this client reads them. */

export interface Config {
  limits: { content_max: number }
  demo: boolean
}

export interface Me {
  user: User
  organization: { id: string; name: string }
}

export interface MessagesPage {
  messages: Message[]
  has_before: boolean
  has_after: boolean
  version: number
}

export interface Changes {
  conversation_id: string
  from_version: number
  version: number
  has_more: boolean
  messages: Message[]
  participants: Participant[]
  conversation?: SharedConversation
}

export interface SearchPage {
  results: SearchResult[]
  has_more: boolean
  next_before: string | null
}

export interface DemoPeople {
  organization: { id: string; name: string }
  people: User[]
}
