"""The catalog as files.

columns       columns of a table: titles, and values in their exact form
rows          rows as people write them, made exact: cells (texts, ids), prices, stock; encodings: bytes as text
links_file    product_links.json; folder: catalog.json and photos/
spreadsheet   CSV and Excel (excel), read and written; table_import: into the catalog, or what it would change
"""
