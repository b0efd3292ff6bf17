"""Leads that open themselves: somebody writes for whom no lead is open (CH19)."""

from collections.abc import Sequence
from datetime import datetime

from clarin_core.domain.contacts import Contact
from clarin_core.domain.events import LeadCreated
from clarin_core.domain.leads import LeadDraft, LeadStatus, StageMove, status_in
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.inbox_people import SOURCE


async def open_leads(tx: Transaction, contacts: Sequence[Contact], *, at: datetime) -> None:
    """Open a lead in the default pipeline for each contact that has none open.

    Not for somebody who is not to be contacted, nor where the account does not want it.
    """
    wanted = {contact.id: contact for contact in contacts if not contact.do_not_contact}
    if not wanted:
        return
    leads = await tx.leads.of_contacts(wanted.keys())
    served = {lead.contact_id for lead in leads if lead.is_open}
    strangers = [contact for contact in wanted.values() if contact.id not in served]
    if not strangers or not (await tx.views.account()).leads_from_chats:
        return
    pipeline = await tx.pipelines.default()
    stage = pipeline.stages[0]
    drafts = [
        LeadDraft(
            contact_id=contact.id,
            status=status_in(stage, LeadStatus.NEW),
            pipeline_id=pipeline.id,
            stage_id=stage.id,
            source=SOURCE,
        )
        for contact in strangers
    ]
    opened = await tx.leads.add(drafts, at=at)
    moves = [StageMove(lead_id=lead.id, to_stage=stage.id, at=lead.created_at) for lead in opened]
    await tx.leads.log_moves(moves)
    tx.emit(LeadCreated(leads=opened))
