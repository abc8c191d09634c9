-- What the host application keeps in step: projects and who is in them; and whom people do not want to hear from.

-- A project belongs to an organization: the same id in two organizations is two projects.
create table projects (
  org_id uuid not null references organizations (id),
  id uuid not null,
  name text,
  description text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id)
);

-- Whoever makes a conversation of a project, and whoever lets somebody into the project, hold the project's row: a
-- conversation that is made while somebody comes has them too.
create table project_members (
  org_id uuid not null,
  project_id uuid not null,
  user_id uuid not null,
  joined_at timestamptz not null default now(),
  primary key (org_id, project_id, user_id),
  foreign key (org_id, project_id) references projects (org_id, id),
  foreign key (org_id, user_id) references users (org_id, id)
);

-- Neither column changes while a conversation stands, so updates of its counters stay heap-only.
create index conversations_project on conversations (org_id, project_id, id) where project_id is not null;

create table blocks (
  org_id uuid not null,
  blocker_id uuid not null,
  blocked_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (org_id, blocker_id, blocked_id),
  foreign key (org_id, blocker_id) references users (org_id, id),
  foreign key (org_id, blocked_id) references users (org_id, id),
  check (blocker_id <> blocked_id)
);

do $$
declare
  t text;
begin
  foreach t in array array['projects', 'project_members', 'blocks'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy store on %I to parley_store using (true) with check (true)', t);
    execute format('create policy own_organization on %I to parley_app using (org_id = current_org()) with check (org_id = current_org())', t);
    execute format('grant select, insert, update, delete, maintain on %I to parley_store', t);
  end loop;
end $$;

grant select, insert on projects, project_members, blocks to parley_app;
grant update (name, description, updated_at) on projects to parley_app;
-- To leave a project, and to hear from somebody again, are what these rows are for: they keep no history.
grant delete on project_members, blocks to parley_app;
