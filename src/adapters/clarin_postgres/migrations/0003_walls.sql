-- Who may see and change what. The service never works as the owner of these tables: it takes
-- one of three roles when it connects, which exist before this runs.
--
--   clarin_service    writes for one account, the one in app.account_id
--   clarin_reader     reads by single statements, each of which names its account
--   clarin_directory  signs people in and cares for all accounts
--
-- Without an account set, or with the empty text that the end of a transaction leaves behind,
-- the policies let nothing through.

create function current_account() returns bigint language sql stable
as $$ select nullif(current_setting('app.account_id', true), '')::bigint $$;

-- Makes the rest of the transaction one of an account; the error's text is the unknown account.
create function enter_account(wanted bigint) returns void language plpgsql as $$
begin
    perform set_config('app.account_id', wanted::text, true);
    perform from accounts where id = wanted;
    if not found then
        raise exception using errcode = 'CL404', message = wanted::text;
    end if;
end
$$;

do $$
begin
    execute format(
        'grant usage on schema %I to clarin_service, clarin_reader, clarin_directory',
        current_schema());
end
$$;

grant select on
    account_stream, contact_tags, contacts, event_log, import_files, import_outcomes, imports,
    lead_tags, leads, memberships, pipelines, stage_moves, stages, tags, accounts, default_accounts
    to clarin_service, clarin_reader, clarin_directory;
grant insert on
    contact_tags, contacts, event_log, import_files, import_outcomes, imports, lead_tags, leads,
    memberships, pipelines, stage_moves, stages, tags, default_accounts
    to clarin_service, clarin_directory;
grant update on
    account_stream, contacts, import_outcomes, imports, leads, memberships, pipelines, stages,
    tags, accounts, default_accounts
    to clarin_service, clarin_directory;
grant delete on
    contact_tags, lead_tags, memberships, pipelines, stages, tags, default_accounts
    to clarin_service, clarin_directory;

grant select (id, username, display_name, is_active) on users to clarin_service, clarin_reader;
grant select, insert, update on users, user_logins, sessions, tickets to clarin_directory;
grant insert, delete on accounts to clarin_directory;
grant insert on account_stream to clarin_directory;
grant delete on user_logins, sessions, tickets, contacts, leads, event_log to clarin_directory;

do $$
declare
    tenant_table text;
begin
    foreach tenant_table in array array[
        'account_stream', 'contact_tags', 'contacts', 'event_log', 'import_files',
        'import_outcomes', 'imports', 'lead_tags', 'leads', 'memberships', 'pipelines',
        'stage_moves', 'stages', 'tags'
    ] loop
        execute format('alter table %I enable row level security', tenant_table);
        execute format('alter table %I force row level security', tenant_table);
        execute format(
            'create policy own_account on %I to clarin_service, clarin_directory
             using (account_id = (select current_account()))
             with check (account_id = (select current_account()))', tenant_table);
        execute format(
            'create policy reading on %I for select to clarin_reader using (true)', tenant_table);
    end loop;
end
$$;

-- The account itself, by its id.
alter table accounts enable row level security;
alter table accounts force row level security;
create policy own_account on accounts to clarin_service
    using (id = (select current_account())) with check (id = (select current_account()));
create policy reading on accounts for select to clarin_reader using (true);
create policy directory on accounts to clarin_directory using (true) with check (true);

-- Another account's default may be taken over, by one's own only.
alter table default_accounts enable row level security;
alter table default_accounts force row level security;
create policy own_account on default_accounts to clarin_service
    using (true) with check (account_id = (select current_account()));
create policy reading on default_accounts for select to clarin_reader using (true);
create policy directory on default_accounts to clarin_directory using (true) with check (true);

-- Of the people, an account sees its members.
alter table users enable row level security;
alter table users force row level security;
create policy own_account on users for select to clarin_service using (exists (
    select from memberships m
    where m.account_id = (select current_account()) and m.user_id = users.id
));
create policy reading on users for select to clarin_reader using (true);
create policy directory on users to clarin_directory using (true) with check (true);

-- Nobody but the directory has any right on these.
alter table user_logins enable row level security;
alter table user_logins force row level security;
create policy directory on user_logins to clarin_directory using (true) with check (true);
alter table sessions enable row level security;
alter table sessions force row level security;
create policy directory on sessions to clarin_directory using (true) with check (true);
alter table tickets enable row level security;
alter table tickets force row level security;
create policy directory on tickets to clarin_directory using (true) with check (true);

-- What is done for all accounts at once: where people work, what waits, what is cleared away.
create policy directory on memberships for select to clarin_directory using (true);
create policy directory on imports for select to clarin_directory using (true);
create policy directory on account_stream to clarin_directory using (true) with check (true);
create policy seeing on leads for select to clarin_directory using (true);
create policy clearing on leads for delete to clarin_directory using (true);
create policy seeing on contacts for select to clarin_directory using (true);
create policy clearing on contacts for delete to clarin_directory using (true);
create policy seeing on event_log for select to clarin_directory using (true);
create policy clearing on event_log for delete to clarin_directory using (true);
