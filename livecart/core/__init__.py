"""Below everything: values, errors, settings, and the small tools that all parts share."""
