-- The answers that requests with an Idempotency-Key got, kept for a day. A row without an answer
-- is a request at work: it is seen by nobody, but waited for.
--
-- Key and request are digests. No reader has a right on the answers.

create table idempotency (
    account_id bigint not null
        constraint idempotency_account references accounts on delete cascade,
    route text collate "C" not null check (char_length(route) between 1 and 255),
    key bytea not null check (octet_length(key) = 32),
    request_hash bytea not null check (octet_length(request_hash) = 32),
    status smallint check (status between 200 and 299),
    body bytea,
    version integer check (version > 0),
    created_at timestamptz not null,
    primary key (account_id, route, key),
    check ((status is null) = (body is null))
);

create index idempotency_oldest on idempotency (created_at);

grant select, insert, update on idempotency to clarin_service, clarin_directory;
grant delete on idempotency to clarin_directory;

alter table idempotency enable row level security;
alter table idempotency force row level security;
create policy own_account on idempotency to clarin_service
    using (account_id = (select current_account()))
    with check (account_id = (select current_account()));

-- Whoever administers accounts claims in the own one, while working in another.
create policy directory on idempotency to clarin_directory using (true) with check (true);
