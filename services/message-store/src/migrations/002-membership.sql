-- People come, leave and come back. Adding columns with constant defaults rewrites nothing, and what the version before
-- this one writes is right by them: whoever is in a conversation was in it from its beginning.

-- The version by which someone last came: tells one who was added from one whose role changed.
alter table participants add column joined_version bigint not null default 1;
-- The version by which they first came: nothing older is theirs to see, so nothing older is looked through for them.
alter table participants add column first_version bigint not null default 0;
-- The last seq before they left, while they are out.
alter table participants add column left_seq bigint;

-- What was said while somebody was away, from one seq to another, both included: what they do not see. The periods in
-- which they belonged are the rest, so whoever has been in from the beginning, which is nearly everyone, has no row,
-- costs no write when a group is made, and is looked up in an index that has nothing of them. A conversation that shares
-- its history writes none. Ranges of one person do not touch: there is the message of their coming between two.
create table absences (
  conversation_id uuid not null,
  user_id uuid not null,
  from_seq bigint not null,
  until_seq bigint not null check (until_seq >= from_seq),
  org_id uuid not null,
  primary key (conversation_id, user_id, from_seq)
);

alter table absences enable row level security;
alter table absences force row level security;
create policy store on absences to parley_store using (true) with check (true);
create policy own_organization on absences to parley_app using (org_id = current_org()) with check (org_id = current_org());

grant select, insert on absences to parley_app;
grant select, insert, update, delete, maintain on absences to parley_store;
grant insert on messages to parley_app;
grant update (last_seq, last_message_id, last_message_at, participant_count, status, changed_version) on conversations to parley_app;
grant update (role, is_active, joined_at, version, joined_version, left_seq, archived) on participants to parley_app;
