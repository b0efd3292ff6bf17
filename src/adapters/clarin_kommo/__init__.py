"""Kommo, read over its REST API: the port Crm."""
