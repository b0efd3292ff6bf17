-- What an account does with those who write first, and who may be one person twice.

alter table accounts add column leads_from_chats boolean not null default true;

-- What the spellings of one address share, as `domain.contacts.email_key` and
-- `domain.phone.phone_key` say. Generated, so that rows of before have them, too.
alter table contacts
    add column email_key text collate "C"
        generated always as (lower(email collate "C")) stored,
    add column phone_key text collate "C" generated always as (case
        when phone ~ '^\+55[1-9][0-9]9[6-9][0-9]{7}$' then left(phone, 5) || substr(phone, 7)
        when phone ~ '^\+549[0-9]{10}$' then '+54' || substr(phone, 5)
        when phone ~ '^\+521[0-9]{10}$' then '+52' || substr(phone, 5)
        else phone
    end) stored;

create index contacts_same_email on contacts (account_id, email_key, id)
    where deleted_at is null and not is_group and email_key is not null;
create index contacts_same_phone on contacts (account_id, phone_key, id)
    where deleted_at is null and not is_group and phone_key is not null;

-- A chat that was deleted long ago goes with its messages, and with all that was said of them.
create index chats_deleted on chats (deleted_at) where deleted_at is not null;
grant delete on chats to clarin_directory;
create policy clearing on chats for delete to clarin_directory using (deleted_at is not null);
