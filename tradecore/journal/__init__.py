"""Event files: a bounded queue, one writer, five taxonomies."""
