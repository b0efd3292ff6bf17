-- Whether a message of which nobody knows is sent again by itself, and how often one was.

alter table accounts add column resend_unknown text not null default 'never'
    check (resend_unknown in ('never', 'once'));
alter table outbox add column doubts smallint not null default 0 check (doubts >= 0);
