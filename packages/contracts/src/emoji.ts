import { AppError } from './errors.ts'

const EMOJI = /^\p{RGI_Emoji}$/v
const AS_PICTURE = '\ufe0f'

/**
 * Holds a reaction to be one emoji of Unicode's recommended set, in its one spelling: `❤` and `❤️` are the same.
 *
 * @throws AppError invalid_emoji
 */
export function cleanEmoji(text: string): string {
  for (const candidate of [text, text + AS_PICTURE, text.replaceAll(AS_PICTURE, '')]) if (EMOJI.test(candidate)) return candidate
  throw new AppError('invalid_emoji', 'a reaction is one emoji', { errors: [{ path: '/emoji', message: 'must be one emoji' }] })
}
