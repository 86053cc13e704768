"""Images and labels in; embeddings, predictions, priorities and reports out.

A library: it knows no database, no web and no wiki, reads no environment, and takes seeds as arguments. torch,
torchvision and faiss are imported only when something needs them.
"""

from active_learning.asking import REASONS, Ask, ask, doubtful_labels, entropy, k_center, knn_distance, margin, typical
from active_learning.backbones import (
    ARCHITECTURES,
    DEFAULT_BACKBONE,
    Backbone,
    JoinedBackbone,
    load_backbone,
    set_threads,
)
from active_learning.calibration import (
    CalibrationError,
    ReliabilityBin,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from active_learning.classical import ClassicalDescriptor
from active_learning.coarse_labels import CoarseFit, fit_coarse
from active_learning.comparing import Verdict, compare
from active_learning.conformal import ConformalModel, cover, fit_conformal
from active_learning.crowd import Consensus, Crowd, Opinion, RetireRule, Scene, Skill, agree, weigh
from active_learning.crowd_votes import Vote
from active_learning.errors import (
    ArtifactError,
    ImageError,
    LearningError,
    NotEnoughDataError,
    NotFittedError,
    TaxonomyError,
)
from active_learning.heads import LDAHead, LinearHead, PrototypeHead, fit_head
from active_learning.images import EMBED_SIDE, PREPROCESSING_VERSION, crop, open_figure, open_rgb, parse_box
from active_learning.metrics import ClassFigures, Confusion, Report, measure
from active_learning.model import Candidate, TrainedModel, TrainingConfig
from active_learning.novelty import NoveltyExamples, NoveltyModel, Strangeness, fit_novelty, leave_classes_out
from active_learning.ranks import Claim, RankFigures, RankModel, RankScale, fit_ranks, measure_ranks
from active_learning.similarity import SimilarityIndex
from active_learning.splitting import grouped_folds, in_holdout
from active_learning.taxonomy import Taxonomy, pretty_sure, roll_up
from active_learning.training import TrainingSet, snapshot_hash, train

__all__ = [
    "ARCHITECTURES",
    "DEFAULT_BACKBONE",
    "EMBED_SIDE",
    "PREPROCESSING_VERSION",
    "REASONS",
    "ArtifactError",
    "Ask",
    "Backbone",
    "CalibrationError",
    "Candidate",
    "Claim",
    "ClassFigures",
    "ClassicalDescriptor",
    "CoarseFit",
    "ConformalModel",
    "Confusion",
    "Consensus",
    "Crowd",
    "ImageError",
    "JoinedBackbone",
    "LDAHead",
    "LearningError",
    "LinearHead",
    "NotEnoughDataError",
    "NotFittedError",
    "NoveltyExamples",
    "NoveltyModel",
    "Opinion",
    "PrototypeHead",
    "RankFigures",
    "RankModel",
    "RankScale",
    "ReliabilityBin",
    "Report",
    "RetireRule",
    "Scene",
    "SimilarityIndex",
    "Skill",
    "Strangeness",
    "Taxonomy",
    "TaxonomyError",
    "TrainedModel",
    "TrainingConfig",
    "TrainingSet",
    "Verdict",
    "Vote",
    "agree",
    "apply_temperature",
    "ask",
    "compare",
    "cover",
    "crop",
    "doubtful_labels",
    "entropy",
    "expected_calibration_error",
    "fit_coarse",
    "fit_conformal",
    "fit_head",
    "fit_novelty",
    "fit_ranks",
    "fit_temperature",
    "grouped_folds",
    "in_holdout",
    "k_center",
    "knn_distance",
    "leave_classes_out",
    "load_backbone",
    "margin",
    "measure",
    "measure_ranks",
    "open_figure",
    "open_rgb",
    "parse_box",
    "pretty_sure",
    "reliability_bins",
    "roll_up",
    "set_threads",
    "snapshot_hash",
    "train",
    "typical",
    "weigh",
]
