"""The catalog as files.

columns       columns of a table: titles, and values in their exact form
written       values as people write them, made exact; number_cells: as a workbook shows them; encodings: bytes as text
links_file    product_links.json; folder: catalog.json and photos/
spreadsheet   CSV and Excel (excel), read and written; table_import: into the catalog, or what it would change
"""
