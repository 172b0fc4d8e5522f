"""The catalog as files.

columns       columns of a table: titles, and values in their exact form
rows          rows as people write them, made exact: cells (texts, ids), prices, stock; encodings: bytes as text
groups        rows of one product as its variants
links_file    product_links.json; folder: catalog.json and photos/
spreadsheet   CSV and Excel (excel), read and written; table_import: into the catalog, or what it would change
table_folder  a table with its pictures beside it, or in a zip
training      what staff and viewers said, for scripts/fit_*.py
"""
