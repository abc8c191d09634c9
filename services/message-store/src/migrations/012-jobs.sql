-- Work that outlives a request: emptying old messages, erasing a person, exporting what they said. Columns without a
-- default, or with a constant one, rewrite nothing.

-- Since when nothing of what a message said is left: unlike one that was deleted it cannot be restored.
alter table messages add column purged_at timestamptz;
-- All messages up to here are emptied: where the next purge goes on.
alter table conversations add column purged_seq bigint not null default 0;
-- Since when nobody is behind this id. No token and no word of the host application brings it back.
alter table users add column erased_at timestamptz;

create index conversations_org on conversations (org_id, id);
-- What one person has reacted to.
create index reactions_user on reactions (user_id, conversation_id);

-- The truth of a job: how far it is and where it goes on, written in the transaction that does the work. The queue beside it
-- (schema `queue`) only says who does the next step.
create table jobs (
  id uuid primary key,
  org_id uuid not null references organizations (id),
  kind text not null check (kind in ('purge', 'erase', 'export')),
  status text not null default 'queued' check (status in ('queued', 'running', 'done', 'failed')),
  -- The person or the conversation that it is about; null for a whole organization.
  subject_id uuid,
  params jsonb not null,
  cursor jsonb not null default '{}',
  result jsonb not null default '{}',
  done bigint not null default 0,
  total bigint not null default 0,
  -- Failures in a row.
  attempts integer not null default 0,
  error text,
  created_by uuid not null,
  created_at timestamptz not null,
  started_at timestamptz,
  updated_at timestamptz not null,
  finished_at timestamptz,
  expires_at timestamptz
) with (fillfactor = 50);
create index jobs_org on jobs (org_id, kind, subject_id);
create index jobs_unfinished on jobs (org_id) where finished_at is null;
create index jobs_expiring on jobs (expires_at) where expires_at is not null;

-- What an export has gathered, in pages of whole lines.
create table export_pages (
  job_id uuid not null,
  page integer not null,
  org_id uuid not null,
  data text not null,
  primary key (job_id, page)
);

do $$
declare
  t text;
begin
  foreach t in array array['jobs', 'export_pages'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy store on %I to parley_store using (true) with check (true)', t);
    execute format('create policy own_organization on %I to parley_app using (org_id = current_org()) with check (org_id = current_org())', t);
    execute format('grant select, insert, update, delete, maintain on %I to parley_store', t);
    execute format('grant select on %I to parley_app', t);
  end loop;
end $$;
