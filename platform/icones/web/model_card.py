"""The model card as a text: the usual headings (Mitchell et al. 2019), numbers with their ranges, names in words."""

from collections.abc import Iterable, Mapping, Sequence

from active_learning import AutoThreshold, ModelCard, Report, Share
from active_learning.card import NeedyClass, RankCard
from icones.identifications import machine
from icones.models import Campaign, ModelVersion
from icones.taxa.service import TaxonView
from icones.web.model_privacy import LeftOut
from icones.web.model_report import duel_of, in_words, named, notes_of

Names = Mapping[str, TaxonView]
LISTED = 20
WHY = {
    "few_labels": "few labels",
    "single_source": "measured on one source only",
    "not_measured": "not measured: no figure of it was left to test",
    "low_recall": "found less than half of the time",
    "confused": "often taken for another",
}

USE = (
    "It suggests names of species for natural-history illustrations of this campaign, and orders the questions put to "
    "people. People name; {alone}. It is not meant for photographs of living organisms, for other collections without "
    "measuring it there, or for decisions about safety or law."
)
NEVER_ALONE = "the model never settles a figure by itself, unless a curator turns that on"
ALONE = "where it is sure enough the model settles a figure by itself, as a curator turned on"
METRICS = (
    "Shares with the range in which the true value lies 19 times in 20. *Right*: the first name is the verified one. "
    "*Right, each taxon alike*: the same, averaged over taxa. *Said aloud*: the deepest rank at which it is pretty "
    "sure. *Off in its certainty*: expected calibration error, beside what a perfect model would show by chance."
)
FACTORS = "Sources count, not figures: figures of one plate are alike, and stay together when measured."
ETHICS = (
    "The labels come from volunteers and specialists; the card names no person. Names of taxa can honour or offend "
    "people; the model only repeats the names that people gave."
)
PROOF = (
    "Thresholds rest on figures of the holdout alone, which the model never learned from, and of these on names that "
    "people verified here: {n} figures of {sources} sources. To prove {target} for a taxon takes at least {least} "
    "sources of it there, all of them right."
)
UNPROVEN = (
    "No: this version was measured before thresholds had to rest on verified figures of the holdout. It settles "
    "nothing; the next training measures anew."
)
SAME = (
    "When it is sure, and how many names a set holds, were set on these same figures: what is said aloud, and the "
    "coverage of sets, flatter a little. Lower bounds allow for that."
)


def markdown_of(
    campaign: Campaign,
    version: ModelVersion,
    report: Report,
    card: ModelCard | None,
    names: Names,
    left_out: LeftOut,
) -> str:
    """Return the card as Markdown; without the numbers of a card it holds those of the report.

    ``card`` holds what the reader may see; ``left_out`` says what is missing from it, and from the snapshot.
    """
    is_alone = machine.is_on(campaign)
    parts = [
        f"# Model card: {plain(campaign.title)}, version {version.number}",
        *_details(campaign, version),
        "## Intended use",
        USE.format(alone=ALONE if is_alone else NEVER_ALONE),
        *_factors(card, left_out),
        "## Metrics",
        METRICS,
        *_data(version, report, left_out),
        *_analyses(version, report, card, names, is_alone=is_alone),
        *_caveats(report, card, names),
    ]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Return words as they are to be read, whatever Markdown would make of them."""
    one_line = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|!~&" else sign for sign in one_line)


def percent(share: Share) -> str:
    """Return a share with its range."""
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _details(campaign: Campaign, version: ModelVersion) -> list[str]:
    facts = [
        ("Campaign", plain(campaign.title)),
        ("Version", f"{version.number} ({version.state.value}, {version.origin.value})"),
        ("Made", f"{version.created_at:%Y-%m-%d %H:%M} UTC"),
        ("Network that sees the pictures", f"`{version.backbone}`"),
        ("Training snapshot", f"`{version.snapshot_hash}`"),
        ("Seed", str(version.seed)),
    ]
    lines = "\n".join(f"- {name}: {value}" for name, value in facts)
    return ["## Model details", lines, *([plain(version.verdict)] if version.verdict else [])]


def _factors(card: ModelCard | None, left_out: LeftOut) -> list[str]:
    words = ["## Factors", FACTORS]
    if card is not None and card.sources and len(card.sources) + left_out.sources > 1:
        rows = [
            (plain(row.source), str(row.n), percent(row.accuracy), percent(row.balanced_accuracy))
            for row in card.sources
        ]
        words.append(table(("Source", "Figures", "Right", "Right, each taxon alike"), rows))
    if left_out.sources:
        words.append(f"Sources left out, as they are not open to the reader of this card: {left_out.sources}.")
    return words


def _data(version: ModelVersion, report: Report, left_out: LeftOut) -> list[str]:
    labels = version.snapshot.get("labels", [])
    stated = sum(1 for label in labels if label.get("origin") == "stated")
    how = {
        "holdout": f"{report.n} figures of {report.n_groups} sources that were never learned from.",
        "cross-validation": f"{report.n} figures of {report.n_groups} sources; each was left out once.",
    }
    learned = (
        f"{len(labels)} labels of {len({label.get('taxon') for label in labels})} taxa, "
        f"{stated} of them stated at the source and not verified here. The snapshot lists each of them"
    )
    learned += f", but for {left_out.labels} that are not open to its reader." if left_out.labels else "."
    return [
        "## Evaluation data",
        how.get(report.measured_on, "Nothing was measured: every figure was needed to learn from."),
        "## Training data",
        learned,
    ]


def _analyses(
    version: ModelVersion, report: Report, card: ModelCard | None, names: Names, *, is_alone: bool
) -> list[str]:
    words = ["## Quantitative analyses", *_overall(report, card)]
    if card is not None and card.n:
        words += [SAME] if card.measured_on == "cross-validation" else []
        words += [*_by_rank(card.ranks), *_mix_ups(card, names), *_curves(card), *_doubt(card)]
        words += [*_thresholds(card, names, is_alone=is_alone)]
    duel = duel_of(version)
    if duel:
        rows = [
            (name, f"{duel[f'{who}_accuracy']:.1%}", f"{duel[f'{who}_balanced_accuracy']:.1%}")
            for name, who in (("This version", "challenger"), ("The one that served", "champion"))
        ]
        words += ["### Beside the version that served", table(("", "Right", "Right, each taxon alike"), rows)]
    return words


def _overall(report: Report, card: ModelCard | None) -> list[str]:
    if not report.n:
        return ["Nothing was measured."]
    shares = (
        (card.accuracy, card.balanced_accuracy, percent(card.top5))
        if card is not None and card.n
        else (
            Share(report.accuracy, *report.accuracy_interval),
            Share(report.balanced_accuracy, *report.balanced_accuracy_interval),
            f"{report.top5:.1%}",
        )
    )
    rows = [
        ("Right", percent(shares[0])),
        ("Right, each taxon alike", percent(shares[1])),
        ("Right name among five", shares[2]),
        ("Off in its certainty", f"{report.ece:.3f} (by chance {report.calibration.noise_floor:.3f})"),
    ]
    if card is not None and card.sure is not None and card.sure_coverage is not None:
        rows += [("Says something aloud", percent(card.sure_coverage)), ("and is then right", percent(card.sure))]
    return [table(("", "Share"), rows)]


def _by_rank(ranks: Sequence[RankCard]) -> list[str]:
    rows = []
    for row in ranks:
        error = row.figures.calibration
        said = (
            (percent(row.coverage), f"{percent(row.said_right)}; at least {row.promised:.1%}")
            if row.promised is not None
            else ("none", "")
        )
        off = f"{error.ece:.3f} ({error.low:.3f} to {error.high:.3f}; by chance {error.noise_floor:.3f})"
        numbers = (f"{row.figures.nll + 0:.3f}", f"{row.figures.brier:.3f}")
        rows.append((row.figures.rank, str(row.figures.n), percent(row.accuracy), *said, off, *numbers))
    heads = ("Rank", "Figures", "Right", "Said aloud", "Right when said", "Off in its certainty", "Log loss", "Brier")
    return ["### By rank", table(heads, rows)] if rows else []


def _mix_ups(card: ModelCard, names: Names) -> list[str]:
    if not card.pairs:
        return []
    rows = [
        (
            _name(pair.a, names),
            _name(pair.b, names),
            f"{pair.a_as_b} of {pair.a_figures}",
            f"{pair.b_as_a} of {pair.b_figures}",
            f"same {pair.relation}" if pair.relation else "",
        )
        for pair in card.pairs[:LISTED]
    ]
    words = ["### Taken for one another", table(("One", "Other", "One as other", "Other as one", "Relatives"), rows)]
    if card.mistakes is not None:
        words.append(
            f"The {card.mistakes.n} wrong answers lie {card.mistakes.mean_height:.2f} ranks from the truth on average "
            "(1: same genus, 2: family, 3: order, 4: class, 5: nothing in common)."
        )
    return words


def _curves(card: ModelCard) -> list[str]:
    words = []
    if card.inclusion:
        rows = [
            (str(one.taxa), str(one.least_learned), str(one.n), percent(one.accuracy), percent(one.mean_recall))
            for one in card.inclusion
        ]
        heads = ("Taxa included", "Fewest labels", "Figures", "Right", "Found, mean over taxa")
        words += ["### By number of taxa included, those with most labels first", table(heads, rows)]
    if card.learning:
        points = [(str(one.labels), percent(one.balanced_accuracy)) for one in card.learning]
        words += ["### By number of labels", table(("Labels", "Right, each taxon alike"), points)]
    return words


def _doubt(card: ModelCard) -> list[str]:
    words = []
    if card.sets is not None:
        held = (
            f"Promised {card.sets.promised:.0%}; held {percent(card.sets.coverage)}, each taxon alike "
            f"{percent(card.sets.macro_coverage)}; {card.sets.mean_size:.1f} taxa on average."
        )
        words += ["### Sets that shall hold the truth", held]
    if card.novelty is not None:
        found = card.novelty
        rows = [
            (name, str(n), *(("not measured" if value is None else f"{value:.1%}") for value in values))
            for name, n, values in (
                ("Relatives", found.n_near, (found.near_at_1, found.near_at_5)),
                ("Nothing like it", found.n_far, (found.far_at_1, found.far_at_5)),
            )
        ]
        heads = ("", "Figures", "Found at 1 % false alarms", "Found at 5 %")
        words += ["### What it does not know", plain(found.how), table(heads, rows)]
    return words


def _thresholds(card: ModelCard, names: Names, *, is_alone: bool) -> list[str]:
    def cells(row: AutoThreshold, name: str) -> tuple[str, ...]:
        if row.threshold is None:
            return name, f"{row.target:.1%}", "none", "", f"{row.n} ({row.n_sources} sources)"
        right = f"{row.precision:.1%} (at least {row.precision_low:.1%})"
        return name, f"{row.target:.1%}", f"{row.threshold:.3f}", right, f"{row.said} of {row.n}"

    title = f"### Could it settle figures by itself? ({'in use' if is_alone else 'a suggestion, not in use'})"
    if card.proof is None:
        return [title, UNPROVEN]
    own = [row for row in card.thresholds if row.threshold is not None][:LISTED]
    rows = [
        *(cells(row, "all taxa together") for row in card.pooled),
        *(cells(row, _name(row.qid, names)) for row in own),
    ]
    without = card.n_classes - sum(1 for row in card.thresholds if row.threshold is not None)
    heads = ("Taxon", "Wanted", "From probability", "Right above it", "Figures above it")
    return [
        title,
        PROOF.format(
            n=card.proof.n,
            sources=card.proof.n_sources,
            target=f"{card.proof.target:.1%}",
            least=card.proof.least_sources,
        ),
        table(heads, rows),
        f"{without} taxa have too little evidence for a threshold of their own.",
    ]


def _caveats(report: Report, card: ModelCard | None, names: Names) -> list[str]:
    notes = [plain(in_words(note, names)) for note in notes_of(report, card)]
    words = [
        "## Ethical considerations",
        ETHICS,
        "## Caveats and recommendations",
        "\n".join(f"- {note}" for note in (*notes, "Measured on this campaign only: elsewhere it may do worse.")),
    ]
    if card is not None and card.needy:
        rows = [_needy(row, names) for row in card.needy[:LISTED]]
        words += ["Taxa for which more images would help most:", table(("Taxon", "Labels", "Found", "Why"), rows)]
    return words


def _needy(row: NeedyClass, names: Names) -> tuple[str, ...]:
    found = "not measured" if row.recall is None else f"{row.recall:.0%} of {row.n}"
    why = ", ".join(WHY[code] for code in row.reasons)
    if row.confused_with:
        why += f" ({_name(row.confused_with, names)})"
    return _name(row.qid, names), str(row.learned), found, why


def _name(qid: str, names: Names) -> str:
    return plain(named(qid, names).scientific_name)
