"""Durable state of a gateway or an agent; `database.Database` is the way in."""
