-- What people have written to be sent later. A row is here until its message is: the transaction that stores the message
-- deletes it.

create table scheduled_messages (
  id uuid primary key,
  org_id uuid not null,
  conversation_id uuid not null,
  user_id uuid not null,
  content text not null,
  -- What it said at first: a repetition of the request that made it is known by it.
  first_content text not null,
  content_type text not null,
  reply_to_id uuid,
  metadata jsonb,
  client_message_id text,
  send_at timestamptz not null,
  -- As send_at, or later where sending it failed for a reason that may pass.
  due_at timestamptz not null,
  status text not null default 'scheduled' check (status in ('scheduled', 'failed', 'cancelled')),
  error text,
  attempts integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  foreign key (org_id, user_id) references users (org_id, id)
);
create unique index scheduled_messages_client_id on scheduled_messages (conversation_id, user_id, client_message_id);
create index scheduled_messages_mine on scheduled_messages (org_id, user_id, send_at);
-- What is looked at twice a second: its first entry says whether there is anything to do.
create index scheduled_messages_due on scheduled_messages (due_at) where status = 'scheduled';

create function current_person() returns uuid stable language sql return nullif(current_setting('app.user_id', true), '')::uuid;

-- Nobody sees what somebody else has not said yet.
alter table scheduled_messages enable row level security;
alter table scheduled_messages force row level security;
create policy store on scheduled_messages to parley_store using (true) with check (true);
create policy my_own on scheduled_messages to parley_app
  using (org_id = current_org() and user_id = current_person()) with check (org_id = current_org() and user_id = current_person());
grant select, insert, delete on scheduled_messages to parley_app;
grant update (content, metadata, send_at, due_at, status, error, attempts, updated_at) on scheduled_messages to parley_app;
grant select, insert, update, delete, maintain on scheduled_messages to parley_store;
