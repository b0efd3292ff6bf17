-- Totals of whole lists, in the row that every transaction writes last and every page reads.
-- Which rows they count is said in `clarin_postgres/totals.py`.

alter table account_stream
    add column leads bigint not null default 0,
    add column contacts bigint not null default 0,
    add column chats bigint not null default 0;

-- As the role that sees the rows of all accounts: the owner may be none that does. A process of
-- the last release that goes on writing meanwhile does not count; the purge finds that out.
set local role clarin_directory;
update account_stream s set
    leads = (
        select count(*) from leads l where l.account_id = s.account_id and l.deleted_at is null),
    contacts = (
        select count(*) from contacts c where c.account_id = s.account_id and c.deleted_at is null),
    chats = (
        select count(*) from chats h
        where h.account_id = s.account_id and h.deleted_at is null and not h.is_archived);
reset role;
