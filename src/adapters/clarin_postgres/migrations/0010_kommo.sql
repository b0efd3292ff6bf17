-- A mirror of Kommo: the connection of an account, who keeps it, and what Kommo said last.
--
-- What is known of leads and contacts there stands beside the rows here: `said` is all of it, so
-- that nothing is lost that has no place here; the other columns are what is looked for.

create table kommo_links (
    account_id bigint primary key
        constraint kommo_links_account references accounts on delete cascade,
    subdomain text not null check (subdomain ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    remote_id bigint not null check (remote_id > 0),
    name text not null check (char_length(name) <= 255),
    currency text check (currency ~ '^[A-Z]{3}$'),
    keys integer not null check (keys > 0),
    connected bigint[] not null,
    fault json,
    last_ok_at timestamptz,
    state json not null,
    sealed bytea not null check (octet_length(sealed) <= 65536),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version integer not null check (version > 0)
) with (fillfactor = 50);

-- As device_leases: the token is part of a key, so that its change waits for who writes under it.
create table kommo_leases (
    account_id bigint primary key
        constraint kommo_leases_link references kommo_links on delete cascade,
    owner text not null check (char_length(owner) between 1 and 100),
    token bigint not null check (token > 0),
    expires_at timestamptz not null,
    constraint kommo_leases_token unique (account_id, token)
) with (fillfactor = 50);

create table kommo_dictionaries (
    account_id bigint primary key
        constraint kommo_dictionaries_link references kommo_links on delete cascade,
    pipelines json not null,
    users json not null,
    lead_fields json not null,
    contact_fields json not null,
    lead_tags json not null,
    contact_tags json not null
);

create table kommo_leads (
    account_id bigint not null,
    kommo_id bigint not null check (kommo_id > 0),
    lead_id bigint not null,
    kommo_pipeline_id bigint not null,
    contacts bigint[] not null,
    updated_at timestamptz not null,
    digest bytea not null check (octet_length(digest) = 16),
    said json not null,
    is_gone boolean not null,
    primary key (account_id, kommo_id),
    constraint kommo_leads_lead
        foreign key (account_id, lead_id) references leads on delete cascade
);

create index kommo_leads_of_lead on kommo_leads (account_id, lead_id);
create index kommo_leads_of_pipeline on kommo_leads (account_id, kommo_pipeline_id);
create index kommo_leads_with_contact on kommo_leads using gin (account_id, contacts)
    where not is_gone;

create table kommo_contacts (
    account_id bigint not null,
    kommo_id bigint not null check (kommo_id > 0),
    contact_id bigint not null,
    phone text collate "C" check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    email text check (char_length(email) between 3 and 254),
    updated_at timestamptz not null,
    digest bytea not null check (octet_length(digest) = 16),
    said json not null,
    is_gone boolean not null,
    primary key (account_id, kommo_id),
    constraint kommo_contacts_contact
        foreign key (account_id, contact_id) references contacts on delete cascade
);

create index kommo_contacts_of_contact on kommo_contacts (account_id, contact_id);
create index kommo_contacts_by_phone on kommo_contacts (account_id, phone) where phone is not null;

grant select on kommo_leases, kommo_dictionaries, kommo_leads, kommo_contacts
    to clarin_service, clarin_reader, clarin_directory;
grant insert, update, delete on
    kommo_links, kommo_leases, kommo_dictionaries, kommo_leads, kommo_contacts
    to clarin_service;
grant select on kommo_links to clarin_service;

-- Nobody reads the credentials but who works with them.
grant select (
    account_id, subdomain, remote_id, name, currency, keys, connected, fault, last_ok_at, state,
    created_at, updated_at, version
) on kommo_links to clarin_reader, clarin_directory;
grant insert, update, delete on kommo_leases to clarin_directory;

do $$
declare
    tenant_table text;
begin
    foreach tenant_table in array array[
        'kommo_links', 'kommo_leases', 'kommo_dictionaries', 'kommo_leads', 'kommo_contacts'
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

-- Whoever keeps the mirrors looks after those of all accounts.
create policy directory on kommo_links for select to clarin_directory using (true);
create policy directory on kommo_leases to clarin_directory using (true) with check (true);

-- A foreign key's check is planned once a connection, at first while a table is as good as empty:
-- then any index that begins with the account is as cheap as the key, and the newest is taken. Each
-- check of a first sync read all rows that there were. An index without some rows cannot be taken.
drop index contacts_merged_into;
create index contacts_merged_into on contacts (account_id, merged_into)
    where merged_into is not null;
drop index leads_by_contact, leads_by_pipeline, leads_by_stage;
create index leads_by_contact on leads (account_id, contact_id, created_at desc, id desc)
    where contact_id is not null;
create index leads_by_pipeline on leads (account_id, pipeline_id, created_at desc, id desc)
    where pipeline_id is not null;
create index leads_by_stage on leads (account_id, stage_id, created_at desc, id desc)
    where stage_id is not null;
