"""The store behind the port: SQLModel tables, one batching writer, migrations.

::

    opening     open_store: the one door for the composition root
    inline      the store of virtual time        threaded    the store of the wall clock
    writer      transactions, synchronously      moves       what a stored row allows the next one to be
    lookups     reads of the port                load        the picture for a start
    queries     reads of the command line        retention   deleting what ended long ago
    rows        records as columns and back      tables      the tables and what they promise
    types       column types                     codec       nested values as JSON text
    statements  the SQL of one dialect           database    address, connections, errors
    schema      whose database it is             migrate     Alembic, for databases of older programs
    instance    one process per state folder        lease        one process per store, proven by each transaction
    holder      who that process is
"""
