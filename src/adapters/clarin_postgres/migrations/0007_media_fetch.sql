-- Whose device has a file yet to fetch, and when it tries (again). A file that is fetched, or will
-- never be, is no device's any more: so the index has, below a device, what is to fetch in its order.

alter table media
    add column device_id bigint,
    add column not_before timestamptz not null default now(),
    add constraint media_device foreign key (account_id, device_id)
        references devices on delete set null (device_id);
alter table media alter column not_before drop default;

drop index media_pending;
create index media_to_fetch on media (account_id, device_id, not_before, id);

-- Files without a message are found over all accounts, and removed in their own.
create policy seeing on media for select to clarin_directory using (true);
create policy seeing on messages for select to clarin_directory using (true);
