-- A message that is alone, as most are where nobody is in a hurry: the same rules as `send_batch`, in statements of one row
-- each. The large statement takes 1,012 us of a backend for one message, these 627, the commit's flush in both; from two
-- messages on the large one is as good.
--
-- The lock is a statement of its own, for the same reason as there: what follows sees what was committed before it.
create function send_one(
  p_batch uuid, p_at timestamptz, p_org uuid, p_conversation uuid, p_user uuid, p_id uuid, p_client text, p_content text, p_type text,
  p_reply uuid, p_metadata jsonb, p_done uuid[]
) returns table (o integer, seq bigint, version bigint, username text, display_name text, avatar_url text)
language plpgsql set search_path = messaging, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
declare
  v_seq bigint;
  v_version bigint;
begin
  perform 1 from conversations v where v.id = p_conversation for no key update;

  update conversations v
  set last_seq = v.last_seq + 1, version = v.version + 1, last_message_id = p_id, last_message_at = p_at, updated_at = p_at
  where v.id = p_conversation and v.org_id = p_org and v.status = 'active'
    and exists (select from participants p where p.conversation_id = v.id and p.user_id = p_user and p.is_active)
    and (p_reply is null
      or exists (select from messages r where r.id = p_reply and r.conversation_id = p_conversation and r.deleted_at is null))
  returning v.last_seq, v.version into v_seq, v_version;

  if found then
    insert into messages (conversation_id, seq, id, version, org_id, sender_id, content, content_type, reply_to_id, metadata, client_message_id, created_at, updated_at)
    values (p_conversation, v_seq, p_id, v_version, p_org, p_user, p_content, p_type, p_reply, p_metadata, p_client, p_at, p_at);
    update participants p set last_read_seq = v_seq, last_read_at = p_at where p.conversation_id = p_conversation and p.user_id = p_user;
    insert into outbox_batches (id, created_at, kind, conversation_ids, versions)
    values (p_batch, p_at, 'new_message', array[p_conversation], array[v_version]);
    return query select 1, v_seq, v_version, n.username, n.display_name, n.avatar_url from users n where n.org_id = p_org and n.id = p_user;
  end if;

  if cardinality(p_done) > 0 then
    delete from outbox_batches where id = any (p_done);
  end if;
end $$;
revoke execute on function send_one from public;
grant execute on function send_one to parley_store;
