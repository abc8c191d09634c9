-- What people do with a message beside answering it.

-- How many reactions a message has: nearly all have none, and are read without looking for any.
alter table messages add column reaction_count integer not null default 0;
alter table messages add column pinned_at timestamptz;
alter table messages add column pinned_by uuid;
create index messages_pinned on messages (conversation_id, pinned_at) where pinned_at is not null;

create table reactions (
  message_id uuid not null,
  emoji text not null,
  user_id uuid not null,
  conversation_id uuid not null,
  org_id uuid not null,
  created_at timestamptz not null,
  primary key (message_id, emoji, user_id)
);

alter table reactions enable row level security;
alter table reactions force row level security;
create policy store on reactions to parley_store using (true) with check (true);
create policy own_organization on reactions to parley_app using (org_id = current_org()) with check (org_id = current_org());

-- A reaction that is taken back leaves nothing: it said nothing that anyone would have to know of later.
grant select, insert, delete on reactions to parley_app;
grant select, insert, update, delete, maintain on reactions to parley_store;
grant update (reaction_count, pinned_at, pinned_by) on messages to parley_app;
