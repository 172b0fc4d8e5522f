"""The catalog as files: product_links.json, a folder with photos, CSV and Excel."""
