"""What can go wrong with a server of our own."""


class EmbeddedServerError(RuntimeError):
    """A private server cannot be used; the text says which, why, and what helps."""
