-- The truth: organizations, people, conversations, who is in them, and what was said.
--
-- Columns that change with every message stand in no index, so that those updates stay heap-only; fillfactor leaves the
-- room. `messages` has no foreign keys: the statement that inserts locks and joins what they would check (they cost 6 %).

create table organizations (
  id uuid primary key,
  name text not null,
  created_at timestamptz not null default now()
);

-- A person belongs to an organization: the same subject in two organizations is two people.
create table users (
  org_id uuid not null references organizations (id),
  id uuid not null,
  username text not null,
  display_name text not null,
  title text,
  department text,
  avatar_url text,
  email text,
  role text not null default 'member',
  settings jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id)
);
create index users_name on users (org_id, lower(display_name), id);

create table conversations (
  id uuid primary key,
  org_id uuid not null references organizations (id),
  type text not null check (type in ('direct', 'group', 'project', 'support', 'announcement')),
  status text not null default 'active' check (status in ('active', 'archived', 'locked')),
  title text,
  description text,
  project_id uuid,
  created_by uuid not null,
  -- The two people of a direct conversation, in order: one conversation for a pair, whoever asks first.
  direct_low uuid,
  direct_high uuid,
  metadata jsonb not null default '{}',
  participant_count integer not null default 0,
  last_seq bigint not null default 0,
  version bigint not null default 1,
  last_message_id uuid,
  last_message_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- The version at which title, status and the like last changed.
  changed_version bigint not null default 1,
  check ((type = 'direct') = (direct_low is not null)),
  check ((direct_low is null) = (direct_high is null)),
  check (direct_low < direct_high)
) with (fillfactor = 70);
create unique index conversations_direct on conversations (org_id, direct_low, direct_high) where direct_low is not null;

create table participants (
  conversation_id uuid not null references conversations (id),
  user_id uuid not null,
  org_id uuid not null,
  role text not null default 'member' check (role in ('owner', 'admin', 'member', 'guest')),
  is_active boolean not null default true,
  joined_at timestamptz not null,
  version bigint not null default 1,
  last_read_seq bigint not null default 0,
  last_read_at timestamptz,
  archived boolean not null default false,
  notifications text not null default 'all' check (notifications in ('all', 'mentions', 'none')),
  muted_until timestamptz,
  draft text,
  primary key (conversation_id, user_id),
  foreign key (org_id, user_id) references users (org_id, id)
) with (fillfactor = 80);
create index participants_user on participants (user_id, conversation_id);

create table messages (
  conversation_id uuid not null,
  seq bigint not null,
  id uuid not null,
  version bigint not null,
  org_id uuid not null,
  sender_id uuid not null,
  content text not null,
  content_type text not null default 'text',
  reply_to_id uuid,
  metadata jsonb,
  client_message_id text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  edited_at timestamptz,
  deleted_at timestamptz,
  deleted_by uuid,
  primary key (conversation_id, seq)
);
create unique index messages_id on messages (id);
create unique index messages_client_id on messages (conversation_id, sender_id, client_message_id);
create index messages_version on messages (conversation_id, version);
-- What an unread count leaves out: with it 16.7 ms became 0.3 at ten million rows.
create index messages_uncounted on messages (conversation_id, seq) where deleted_at is not null or content_type = 'system';
create index messages_replies on messages (reply_to_id) where reply_to_id is not null;

create table message_revisions (
  message_id uuid not null,
  conversation_id uuid not null,
  org_id uuid not null,
  version bigint not null,
  content text not null,
  edited_at timestamptz not null,
  edited_by uuid not null,
  primary key (message_id, version)
);

-- One row each time a position advances: who read message 812, and when, is the earliest row at or past 812.
create table read_markers (
  conversation_id uuid not null,
  user_id uuid not null,
  seq bigint not null,
  org_id uuid not null,
  read_at timestamptz not null,
  primary key (conversation_id, user_id, seq)
);

-- What is committed and perhaps not yet published: references, no payload; one row a batch, claimed by `skip locked`,
-- never read by "id greater than the last" (a slow transaction commits a lower id after a faster one).
create table outbox_batches (
  id uuid primary key,
  created_at timestamptz not null,
  kind text not null,
  conversation_ids uuid[] not null,
  versions bigint[] not null default '{}',
  user_ids uuid[] not null default '{}'
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Row-level security, forced. `parley_app` answers people and sees one organization, the one set for its transaction;
-- without it, nothing. `parley_store` does the service's own work: batches of many people, the outbox, healing.
do $$
begin
  if not exists (select from pg_roles where rolname = 'parley_app') then
    create role parley_app nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'parley_store') then
    create role parley_store nologin;
  end if;
exception when duplicate_object or unique_violation then
  null; -- another database of this server made them at the same moment
end $$;

do $$
begin
  execute format('grant parley_app, parley_store to %I', current_user);
end $$;

create function current_org() returns uuid stable language sql return nullif(current_setting('app.org_id', true), '')::uuid;

do $$
declare
  t text;
begin
  foreach t in array array['organizations', 'users', 'conversations', 'participants', 'messages', 'message_revisions', 'read_markers', 'outbox_batches'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy store on %I to parley_store using (true) with check (true)', t);
    if t not in ('organizations', 'outbox_batches') then
      execute format('create policy own_organization on %I to parley_app using (org_id = current_org()) with check (org_id = current_org())', t);
    end if;
  end loop;
end $$;
create policy own_organization on organizations to parley_app using (id = current_org()) with check (false);
-- Anyone may leave work for the publisher; only the store reads it.
create policy leave_work on outbox_batches for insert to parley_app with check (true);

grant usage on schema messaging to parley_app, parley_store;
grant select on organizations, users, conversations, participants, messages, message_revisions, read_markers to parley_app;
grant update (settings) on users to parley_app;
grant insert on conversations, participants, message_revisions, read_markers, outbox_batches to parley_app;
grant update (version, updated_at) on conversations to parley_app;
grant update (last_read_seq, last_read_at) on participants to parley_app;
grant update (version, content, edited_at, deleted_at, deleted_by, updated_at) on messages to parley_app;
grant select, insert, update, delete on all tables in schema messaging to parley_store;
-- ANALYZE after the first thousand messages: a plan made on empty tables cost five times the database.
grant maintain on all tables in schema messaging to parley_store;

-- Stores a batch of messages: the one statement of the hot path, called with everything that gathered while the last
-- call was in flight. A function, so that what follows the lock sees what was committed before it: in a single statement
-- membership and counters would be read from a snapshot older than the lock.
--
-- Conversations are locked in the order of their ids, or two batches deadlock. What may not be sent has no row in the
-- answer and takes no seq. A client_message_id that stands already raises 23505 for the whole batch, which leaves no hole;
-- the caller looks for duplicates then, not every time.
--
-- Its plan is made once and uses indexes, whatever the tables' sizes were then: planned anew for each call, which is what
-- PostgreSQL chooses by itself, a message that is alone costs a millisecond more than it takes (bench/README.md).
create function send_batch(
  p_batch uuid, p_at timestamptz, p_org uuid[], p_conversation uuid[], p_user uuid[], p_id uuid[], p_client text[], p_content text[],
  p_type text[], p_reply uuid[], p_metadata text[], p_done uuid[]
) returns table (o integer, seq bigint, version bigint, username text, display_name text, avatar_url text)
language plpgsql set search_path = messaging, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
  perform 1 from conversations v where v.id = any (p_conversation) order by v.id for no key update;

  return query
  with input as materialized (
    select * from unnest(p_org, p_conversation, p_user, p_id, p_client, p_content, p_type, p_reply, p_metadata) with ordinality
      as x (org, c, u, id, client, content, content_type, reply, metadata, o)
  ), conv as materialized (
    select v.id, v.org_id, v.last_seq, v.version from conversations v where v.id = any (p_conversation) and v.status = 'active'
  ), ok as materialized (
    select i.*, n.username, n.display_name, n.avatar_url, c.last_seq + row_number() over w as seq, c.version + row_number() over w as version
    from input i
    join conv c on c.id = i.c and c.org_id = i.org
    join participants p on p.conversation_id = i.c and p.user_id = i.u and p.is_active
    join users n on n.org_id = i.org and n.id = i.u
    where i.reply is null
       or exists (select from messages r where r.id = i.reply and r.conversation_id = i.c and r.deleted_at is null)
    window w as (partition by i.c order by i.o)
  ), inserted as (
    insert into messages (conversation_id, seq, id, version, org_id, sender_id, content, content_type, reply_to_id, metadata, client_message_id, created_at, updated_at)
    select c, seq, id, version, org, u, content, content_type, reply, metadata::jsonb, client, p_at, p_at from ok order by o
  ), counted as (
    update conversations v
    set last_seq = a.seq, version = a.version, last_message_id = a.id, last_message_at = p_at, updated_at = p_at
    from (select distinct on (c) c, seq, version, id from ok order by c, seq desc) a
    where v.id = a.c
  ), positions as (
    -- Who writes has read up to there; so an unread count never meets a message of one's own.
    update participants p set last_read_seq = a.seq, last_read_at = p_at
    from (select c, u, max(seq) as seq from ok group by c, u) a
    where p.conversation_id = a.c and p.user_id = a.u
  ), left_behind as (
    insert into outbox_batches (id, created_at, kind, conversation_ids, versions)
    select p_batch, p_at, 'new_message', array_agg(c), array_agg(version) from ok having count(*) > 0
  ), published as (
    delete from outbox_batches where id = any (p_done)
  )
  select o::integer, seq, version, username, display_name, avatar_url from ok;
end $$;
revoke execute on function send_batch from public;
grant execute on function send_batch to parley_store;
