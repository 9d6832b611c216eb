"""Items and interactions: readers, filters, splits, item text."""
