"""What several tests share: a running service and people who use it."""
