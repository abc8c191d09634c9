-- What messages are found by: one row a message, beside `messages` and filled after it, so that sending pays nothing. The
-- lexemes are made by the application (search/lexemes.ts), for what is written and what is asked alike.
--
-- A row is of one version of its message. A deleted message keeps one without lexemes: whoever comes late with what it said
-- before finds a newer version here and leaves it.
create table message_search (
  message_id uuid primary key,
  conversation_id uuid not null,
  seq bigint not null,
  org_id uuid not null,
  version bigint not null,
  lexemes tsvector not null
);
-- What is not merged yet is read by every search, so it is kept short; what is merged together costs less (347 us of a
-- backend for a message that is merged alone, 141 with 256 kB, 117 with 1 MB, all of it counted). The worker merges it, and
-- not whoever sends.
create index message_search_lexemes on message_search using gin (lexemes) with (fastupdate = on, gin_pending_list_limit = 256);

-- How far each conversation is in the index: all messages up to a seq, however far behind.
create table search_progress (
  conversation_id uuid primary key,
  seq bigint not null
) with (fillfactor = 70);

-- One row. Who holds it fills the index; it also says after which message the conversations with something new are looked
-- for. That is a hint: what it passes over is found by comparing seqs.
create table search_worker (
  id integer primary key check (id = 1),
  seen_id uuid
);
insert into search_worker values (1, null);

do $$
declare
  t text;
begin
  foreach t in array array['message_search', 'search_progress', 'search_worker'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy store on %I to parley_store using (true) with check (true)', t);
    execute format('grant select, insert, update, delete, maintain on %I to parley_store', t);
  end loop;
end $$;
-- Edits and deletions write their message's row themselves.
create policy own_organization on message_search to parley_app using (org_id = current_org()) with check (org_id = current_org());
grant select, insert, update (version, lexemes) on message_search to parley_app;

-- Messages of the conversations that the person of this transaction is in, or of one of them, that have the lexemes wanted,
-- the newest first; but for those that were said while they were away.
--
-- It runs as parley_store, whose policy is no condition: under a policy that is one, `@@` is not known to be leakproof, is
-- tried on each row after it and never by the index. Who asks is read from the transaction, so nobody can ask for another.
--
-- Each part of the condition is a clause of its own: the index then steps over what the other clauses leave out (all of it
-- lies in the order in which it was said, so a window of time is a stretch of each list). The window bounds the work, since
-- the index gives all that it finds in no order.
create function search_messages(
  p_conversation uuid, p_window tsquery, p_wanted tsquery, p_from timestamptz, p_before timestamptz, p_before_seq bigint, p_before_id uuid, p_limit integer
) returns table (id uuid, seq bigint)
language plpgsql stable security definer
set search_path = messaging, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_user constant uuid := nullif(current_setting('app.user_id', true), '')::uuid;
  v_org constant uuid := current_org();
  v_scope tsquery;
  v_count integer;
begin
  if p_conversation is null then
    select count(*), string_agg('''@' || substr(replace(conversation_id::text, '-', ''), 17) || '''', ' | ')::tsquery into v_count, v_scope
    from (select conversation_id from participants where user_id = v_user and org_id = v_org and is_active limit 101) mine;
    if v_count = 0 then
      return;
    elsif v_count > 100 then
      -- Each of them is a list to step through for each message found: from here on it is cheaper to look at all.
      v_scope := ('''^' || substr(replace(v_org::text, '-', ''), 17) || '''')::tsquery;
    end if;
  else
    v_scope := ('''@' || substr(replace(p_conversation::text, '-', ''), 17) || '''')::tsquery;
  end if;

  return query
  with hits as materialized (
    select s.message_id, s.conversation_id, s.seq from message_search s
    where s.lexemes @@ v_scope and s.lexemes @@ p_window and s.lexemes @@ p_wanted and s.org_id = v_org
  )
  select h.message_id, h.seq from hits h
  join participants p on p.conversation_id = h.conversation_id and p.user_id = v_user and p.is_active
  where (p_conversation is null or h.conversation_id = p_conversation)
    and (uuid_extract_timestamp(h.message_id), h.seq, h.message_id) < (p_before, p_before_seq, p_before_id)
    and uuid_extract_timestamp(h.message_id) >= p_from
    and not exists (select from absences a
      where a.conversation_id = h.conversation_id and a.user_id = v_user and h.seq between a.from_seq and a.until_seq)
  order by uuid_extract_timestamp(h.message_id) desc, h.seq desc, h.message_id desc
  limit p_limit;
end $$;
revoke execute on function search_messages from public;
grant execute on function search_messages to parley_app;
-- Whose it is decides what it may read. To be given a function a role must be able to make one.
grant create on schema messaging to parley_store;
alter function search_messages owner to parley_store;
revoke create on schema messaging from parley_store;
