"""What can go wrong with a server of our own."""


class EmbeddedPostgresError(RuntimeError):
    """The private PostgreSQL cannot be used; the text says why and what helps."""
