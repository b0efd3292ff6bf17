"""The process of one device: the only place where WhatsApp's library is loaded."""
