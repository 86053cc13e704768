"""Taxa: names, lineages and search, kept from Wikidata."""
