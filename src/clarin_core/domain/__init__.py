"""Entities, values, commands and events: decisions without input or output."""
