-- Who is called by a message, where it was forwarded from, and what may be sent: announcements by owners and admins alone,
-- and nothing between two of whom one has blocked the other.

-- Null where nobody is called, as in nearly every message.
alter table messages add column mentions uuid[];
alter table messages add column mention_all boolean not null default false;
alter table messages add column forwarded_from uuid;
create index messages_mention_all on messages (conversation_id, seq) where mention_all;

-- The same for counting: how often one was called past one's position is one range of this key.
create table mentions (
  conversation_id uuid not null,
  user_id uuid not null,
  seq bigint not null,
  org_id uuid not null,
  primary key (conversation_id, user_id, seq)
);

alter table mentions enable row level security;
alter table mentions force row level security;
create policy store on mentions to parley_store using (true) with check (true);
create policy own_organization on mentions to parley_app using (org_id = current_org()) with check (org_id = current_org());
grant select, insert, delete on mentions to parley_app;
grant select, insert, update, delete, maintain on mentions to parley_store;
grant update (mentions, mention_all) on messages to parley_app;

-- Whether one of the two of a direct conversation has blocked the other.
create function is_blocked(p_org uuid, p_low uuid, p_high uuid) returns boolean
language sql stable set search_path = messaging, pg_temp as $$
  select p_low is not null and exists (
    select from blocks where org_id = p_org and ((blocker_id = p_low and blocked_id = p_high) or (blocker_id = p_high and blocked_id = p_low)))
$$;

-- As 001 and 003 have them, with what is above; the ones before stay while stores of the version before still run.
-- `p_mentions` has an array literal of ids for each message that calls somebody, `p_all` whether it calls everyone, which in
-- large conversations is for owners and admins.
create function send_batch(
  p_batch uuid, p_at timestamptz, p_org uuid[], p_conversation uuid[], p_user uuid[], p_id uuid[], p_client text[], p_content text[],
  p_type text[], p_reply uuid[], p_metadata text[], p_mentions text[], p_all boolean[], p_forwarded uuid[], p_done uuid[]
) returns table (o integer, seq bigint, version bigint, username text, display_name text, avatar_url text, mention_all boolean)
language plpgsql set search_path = messaging, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
  perform 1 from conversations v where v.id = any (p_conversation) order by v.id for no key update;

  return query
  with input as materialized (
    select * from unnest(p_org, p_conversation, p_user, p_id, p_client, p_content, p_type, p_reply, p_metadata, p_mentions, p_all, p_forwarded)
      with ordinality as x (org, c, u, id, client, content, content_type, reply, metadata, mentions, calls_all, forwarded, o)
  ), conv as materialized (
    select v.id, v.org_id, v.type, v.participant_count, v.last_seq, v.version
    from conversations v
    where v.id = any (p_conversation) and v.status = 'active'
      and (v.direct_low is null or not is_blocked(v.org_id, v.direct_low, v.direct_high))
  ), ok as materialized (
    select i.*, n.username, n.display_name, n.avatar_url,
      i.calls_all and (p.role in ('owner', 'admin') or c.participant_count <= 100) as mention_all,
      c.last_seq + row_number() over w as seq, c.version + row_number() over w as version
    from input i
    join conv c on c.id = i.c and c.org_id = i.org
    join participants p on p.conversation_id = i.c and p.user_id = i.u and p.is_active
    join users n on n.org_id = i.org and n.id = i.u
    where (c.type <> 'announcement' or p.role in ('owner', 'admin'))
      and (i.reply is null
       or exists (select from messages r where r.id = i.reply and r.conversation_id = i.c and r.deleted_at is null))
    window w as (partition by i.c order by i.o)
  ), inserted as (
    insert into messages (conversation_id, seq, id, version, org_id, sender_id, content, content_type, reply_to_id, metadata, client_message_id,
      mentions, mention_all, forwarded_from, created_at, updated_at)
    select c, seq, id, version, org, u, content, content_type, reply, metadata::jsonb, client,
      mentions::uuid[], mention_all, forwarded, p_at, p_at from ok order by o
  ), called as (
    insert into mentions (conversation_id, user_id, seq, org_id)
    select c, m.id, seq, org from ok cross join lateral unnest(mentions::uuid[]) as m (id) where mentions is not null
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
  select o::integer, seq, version, username, display_name, avatar_url, mention_all from ok;
end $$;

create function send_one(
  p_batch uuid, p_at timestamptz, p_org uuid, p_conversation uuid, p_user uuid, p_id uuid, p_client text, p_content text, p_type text,
  p_reply uuid, p_metadata jsonb, p_mentions uuid[], p_all boolean, p_forwarded uuid, p_done uuid[]
) returns table (o integer, seq bigint, version bigint, username text, display_name text, avatar_url text, mention_all boolean)
language plpgsql set search_path = messaging, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
declare
  v_seq bigint;
  v_version bigint;
  v_role text;
  v_all boolean;
begin
  perform 1 from conversations v where v.id = p_conversation for no key update;

  select p.role into v_role from participants p where p.conversation_id = p_conversation and p.user_id = p_user and p.is_active;
  if found then
    update conversations v
    set last_seq = v.last_seq + 1, version = v.version + 1, last_message_id = p_id, last_message_at = p_at, updated_at = p_at
    where v.id = p_conversation and v.org_id = p_org and v.status = 'active'
      and (v.type <> 'announcement' or v_role in ('owner', 'admin'))
      and (v.direct_low is null or not is_blocked(v.org_id, v.direct_low, v.direct_high))
      and (p_reply is null
        or exists (select from messages r where r.id = p_reply and r.conversation_id = p_conversation and r.deleted_at is null))
    returning v.last_seq, v.version, p_all and (v_role in ('owner', 'admin') or v.participant_count <= 100) into v_seq, v_version, v_all;
  end if;

  if v_seq is not null then
    insert into messages (conversation_id, seq, id, version, org_id, sender_id, content, content_type, reply_to_id, metadata, client_message_id,
      mentions, mention_all, forwarded_from, created_at, updated_at)
    values (p_conversation, v_seq, p_id, v_version, p_org, p_user, p_content, p_type, p_reply, p_metadata, p_client,
      p_mentions, v_all, p_forwarded, p_at, p_at);
    if p_mentions is not null then
      insert into mentions (conversation_id, user_id, seq, org_id) select p_conversation, m.id, v_seq, p_org from unnest(p_mentions) as m (id);
    end if;
    update participants p set last_read_seq = v_seq, last_read_at = p_at where p.conversation_id = p_conversation and p.user_id = p_user;
    insert into outbox_batches (id, created_at, kind, conversation_ids, versions)
    values (p_batch, p_at, 'new_message', array[p_conversation], array[v_version]);
    return query select 1, v_seq, v_version, n.username, n.display_name, n.avatar_url, v_all
      from users n where n.org_id = p_org and n.id = p_user;
  end if;

  if cardinality(p_done) > 0 then
    delete from outbox_batches where id = any (p_done);
  end if;
end $$;

revoke execute on function is_blocked from public;
grant execute on function is_blocked to parley_store, parley_app;
do $$
declare
  f regprocedure;
begin
  for f in select oid::regprocedure from pg_proc where pronamespace = 'messaging'::regnamespace and proname in ('send_batch', 'send_one') loop
    execute format('revoke execute on function %s from public', f);
    execute format('grant execute on function %s to parley_store', f);
  end loop;
end $$;
