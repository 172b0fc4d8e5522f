"""What the API answers, as OpenAPI describes it. The bytes themselves are made by msgspec from the records."""
