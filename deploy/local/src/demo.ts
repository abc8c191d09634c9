import { createHmac } from 'node:crypto'
import { DEMO_ORG_ID } from '@parley/contracts'

// Fills the demo: an organization with people, conversations and a first history, through the public door like any
// client. Run twice it adds nothing: people and messages have ids of their own, groups are found by their title.

interface Person {
  id: string
  username: string
  name: string
  title: string
  department: string
}

const person = (n: number, username: string, name: string, title: string, department: string): Person => ({
  id: `0de0a11e-0000-5000-8000-0000000001${String(n).padStart(2, '0')}`,
  username,
  name,
  title,
  department
})

const sarah = person(1, 'sarah', 'Sarah Ahmed', 'Plant manager', 'Operations')
const ahmed = person(2, 'ahmed', 'أحمد علي', 'مهندس صيانة', 'Maintenance')
const minji = person(3, 'minji', '김민지', '데이터 분석가', 'Data')
const lukas = person(4, 'lukas', 'Lukas Brandt', 'Controls engineer', 'Automation')
const amara = person(5, 'amara', 'Amara Okafor', 'Product lead', 'Product')
const yuki = person(6, 'yuki', '佐藤ゆき', 'Quality lead', 'Quality')
const tom = person(7, 'tom', 'Tom Rivera', 'Site reliability', 'Platform')
const everyone = [sarah, ahmed, minji, lukas, amara, yuki, tom]

type Line = [sender: Person, text: string]

const directs: [Person, Person, Line[]][] = [
  [
    sarah,
    ahmed,
    [
      [sarah, 'Good morning Ahmed, is line 3 back up?'],
      [ahmed, 'صباح الخير سارة. نعم، تم استبدال المحمل وعاد الخط للعمل منذ الساعة السادسة.'],
      [ahmed, 'Vibration is at 2.1 mm/s, well below the limit.'],
      [sarah, 'Wonderful, thank you! I will tell the shift lead.']
    ]
  ],
  [
    sarah,
    minji,
    [
      [minji, '안녕하세요! 어제 요청하신 에너지 보고서를 정리했습니다.'],
      [minji, 'Short version: 8 % less than last month, most of it from the night shift.'],
      [sarah, '정말 빠르네요, 감사합니다 🙏']
    ]
  ],
  [
    lukas,
    amara,
    [
      [amara, 'Can the new dashboard go to the pilot customers on Thursday?'],
      [lukas, 'Yes, if the import finishes tonight. I will know at eight.']
    ]
  ],
  [
    tom,
    sarah,
    [
      [tom, 'Heads up: we restart the gateways at noon. You should not notice anything.'],
      [sarah, 'I will keep typing and tell you 😄']
    ]
  ]
]

const groups: { title: string; description: string; people: Person[]; lines: Line[] }[] = [
  {
    title: 'Line 3 retrofit',
    description: 'Everything about the new drives on line 3.',
    people: [sarah, ahmed, minji, lukas, yuki],
    lines: [
      [sarah, 'Welcome, everyone. This is where we plan the retrofit of line 3.'],
      [lukas, 'Drives arrive on Monday. I need two days for the cabinets.'],
      [yuki, '品質チェックの手順を更新しました。水曜日までに確認をお願いします。'],
      [ahmed, 'سأجهز قائمة قطع الغيار اليوم.'],
      [minji, 'I added live current readings to the report: https://example.com/line-3'],
      [lukas, 'Cutover plan:\n1. lock out, tag out\n2. swap the drives\n3. run in at half speed for an hour'],
      [sarah, 'Perfect. Then Thursday is our day.']
    ]
  },
  {
    title: 'Lunch & learn',
    description: 'Fridays at noon.',
    people: [amara, sarah, minji, tom, yuki],
    lines: [
      [amara, 'This Friday: how our messages get from hand to eye. Tom, would you?'],
      [tom, 'Happy to. I bring a cable to unplug.'],
      [yuki, '楽しみです！'],
      [minji, '저도 꼭 참석할게요 🙌']
    ]
  }
]

const [gateway] = process.argv.slice(2)
const { JWT_SECRET_KEY: secret, JWT_ISSUER: iss, JWT_AUDIENCE: aud } = process.env
if (!gateway || !secret) {
  process.stderr.write('usage: JWT_SECRET_KEY=… node demo.ts <gateway url>\n')
  process.exit(1)
}

function tokenOf({ id: sub, name, ...profile }: Person): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    sub,
    name,
    ...profile,
    id: undefined,
    org_id: DEMO_ORG_ID,
    org_name: 'Meridian Works',
    exp: Date.now() / 1_000 + 600,
    ...(iss && { iss }),
    ...(aud && { aud })
  }
  const unsigned = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${unsigned}.${createHmac('sha256', secret!).update(unsigned).digest('base64url')}`
}

const tokens = new Map(everyone.map(p => [p, tokenOf(p)]))

async function call<T>(who: Person, method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${gateway}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${tokens.get(who)}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) })
  })
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

async function say(conversation_id: string, name: string, lines: readonly Line[]): Promise<void> {
  for (const [index, [sender, content]] of lines.entries()) {
    await call(sender, 'POST', `/conversations/${conversation_id}/messages`, { content, client_message_id: `demo-${name}-${index}` })
  }
}

try {
  // Asking once makes each of them known.
  await Promise.all(everyone.map(p => call(p, 'GET', '/me')))
  for (const [a, b, lines] of directs) {
    const { id } = await call<{ id: string }>(a, 'POST', `/conversations/dm/${b.id}`)
    await say(id, `${a.username}-${b.username}`, lines)
  }
  for (const { title, description, people, lines } of groups) {
    const owner = people[0]!
    const { conversations } = await call<{ conversations: { id: string; title: string | null }[] }>(
      owner,
      'GET',
      `/conversations?type=group&q=${encodeURIComponent(title)}`
    )
    const participant_ids = people.slice(1).map(p => p.id)
    const standing = conversations.find(conversation => conversation.title === title)
    const { id } =
      standing ?? (await call<{ id: string }>(owner, 'POST', '/conversations', { type: 'group', title, description, participant_ids }))
    await say(id, title, lines)
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
