-- What a conversation is to everyone (shared history) and to one person (pinned, put away up to a message).

alter table conversations add column history text not null default 'joined' check (history in ('all', 'joined'));

alter table participants add column pinned boolean not null default false;
-- Put away up to here: what comes later brings the conversation back, so that nothing is written when a message comes.
alter table participants add column archived_seq bigint not null default 0;

grant update (title, description, metadata, history) on conversations to parley_app;
grant update (pinned, notifications, muted_until, draft, archived_seq) on participants to parley_app;
