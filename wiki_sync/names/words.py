"""The small words that stand in and around written names, by what they tell. All in small letters, without dots."""

import re

UNCERTAIN = frozenset({"cf", "cfr", "confer", "aff", "nr", "near", "prope", "forte", "vix", "possibly", "probably"})
"""The writer was not sure, or means something like it."""

OPEN = frozenset(
    {
        *("sp", "spp", "spec", "specc", "species", "indet", "undet", "gen", "nov", "complex", "group", "agg"),
        *("serovar", "pathovar", "pv"),
    }
)
"""No species is named, or a group without a name of its own."""

SENSE = frozenset(
    {
        *("sensu", "sec", "auct", "auctt", "auctorum", "non", "nec", "not", "vel", "sl", "str", "lat", "ss", "pp"),
        *("pro", "parte", "emend", "nom", "nomen", "ined", "ms", "hort", "ht", "misapplied", "partim", "excl"),
    }
)
"""The name is used in another sense than its author's, or has a standing that needs a person's eye."""

RANKS = {
    **dict.fromkeys(("subsp", "ssp", "subspec", "subspecies"), "subsp."),
    **dict.fromkeys(("var", "varietas", "variety"), "var."),
    **dict.fromkeys(("f", "fo", "fm", "fma", "form", "forma"), "f."),
    "subvar": "subvar.",
    "subf": "subf.",
    "nothosubsp": "nothosubsp.",
    "nothovar": "nothovar.",
}
"""Words that stand before an epithet below the species, and how they are written in a name."""

BELOW_RANKS = frozenset(
    {"ab", "aber", "aberr", "aberration", "morph", "morpha", "st", "nat", "natio", "prol", "convar", "race", "lusus"}
)
"""Words before names of no standing: of single animals, forms and races."""

GROUPS = frozenset(
    {
        *("sect", "subsect", "subg", "subgen", "subgenus", "ser", "subser", "trib", "tribus", "tr", "subtr"),
        *("subtrib", "subfam", "supertrib", "div", "nothosect", "unr"),
    }
)
"""Words before names of groups between family and species."""

CULTIVATED = frozenset({"cv", "cultivar"})

PARTICLES = frozenset(
    {
        *("de", "da", "do", "dos", "das", "du", "des", "del", "della", "dela", "di", "la", "le", "las", "los", "el"),
        *("delle", "degli", "of", "anon", "van", "von", "v", "vom", "vd", "ver", "zu", "zum", "zur", "der", "den"),
        *("dem", "d", "i", "ten", "ter", "te", "af", "av", "y", "e"),
    }
)
"""Words with which the names of authors begin."""

BETWEEN_AUTHORS = frozenset(
    {"&", "et", "ct", "and", "und", "en", "ex", "in", "al", "fil", "f", "filius", "bis", "apud", "mihi", "nobis", "nob"}
)

ASIDES = frozenset(
    {
        *("fem", "male", "female", "juv", "juvenis", "ad", "adult", "pullus", "larva", "pupa", "imago"),
        *("mannetje", "vrouwtje"),
    }
)
"""Sex and age of the animal on the plate: no part of its name."""

AUTHORS = frozenset(
    {
        *("linnaeus", "linne", "linn", "fabricius", "pallas", "scopoli", "gronovius", "hasselquist", "jacquin"),
        *("gmelin", "latham", "temminck", "vieillot", "gould", "audubon", "boddaert", "brisson", "catesby"),
    }
)
"""Authors who are written in full so often that a capital word is they and no epithet."""

NO_NAMES = frozenset(
    {
        *("unknown", "unidentified", "unidentifiable", "unidentifieable", "unnamed", "unamed", "unassigned", "null"),
        *("unspecified", "undetermined", "undesignated", "unplaced", "unranked", "uncertain", "invalid", "none", "not"),
        *("no", "na", "n/a", "nn", "incertae", "inc", "candidatus", "undet", "indet", "various", "mixed", "hybrid"),
        *("kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies", "genn", "onbekend"),
        *("unbekannt", "inconnu", "inconnue", "incognita", "ignota", "sine", "ohne", "zonder", "sans"),
    }
)
"""What is written where a name is missing."""

NO_TAXA = re.compile(
    r"(?:.*(?:virus|viruses|viroids?|phages?|satellites?|prions?|plasmids?|phytoplasma|symbiont)"
    r"|(?:cyano)?bacterium|incertaesedis|sedis|sed|clone|culture|dna|rna|particles?|vector|isolate|npv)"
)
"""Words that no name of a plant, an animal or a fungus has."""

SMALL_WHEN_SHOUTED = UNCERTAIN | OPEN | SENSE | BELOW_RANKS | CULTIVATED | GROUPS | frozenset(RANKS)
