"""Keeping the mirror of Kommo: a pass reads what is new there, and stores it page by page."""
