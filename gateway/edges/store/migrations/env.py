"""Alembic's entry: runs in the connection and the transaction that `schema.migrate` hands over."""

from __future__ import annotations

from alembic import context

from gateway.edges.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    # SQLite alters tables by copying them.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
