"""What keeps reads fast and true: the logs that are followed, and the reads that are kept."""
