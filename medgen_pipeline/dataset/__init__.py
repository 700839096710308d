"""Parquet on disk or in a bucket: schema, layout, manifest, writer, reader."""
