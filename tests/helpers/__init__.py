"""What several tests share: builders of records and data, and programs that tests start. No test stands here."""
