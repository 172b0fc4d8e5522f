"""What happens to a room's stream: ingest, gate, mailbox, recogniser, decision."""
