"""What does a person see? Status, live view, tables, logs, the report, exports and the doctor."""
