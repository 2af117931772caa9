"""The normal distribution of all columns, from rows that lack modalities and single entries."""
