"""Images and labels in; embeddings, predictions, priorities and reports out.

A library: it knows no database, no web and no wiki, reads no environment, and takes seeds as arguments. torch,
torchvision and faiss are imported only when something needs them.
"""

from active_learning.asking import REASONS, Ask, ask
from active_learning.auto_thresholds import AutoThreshold, auto_threshold, auto_thresholds
from active_learning.backbones import (
    DEFAULT_BACKBONE,
    Backbone,
    JoinedBackbone,
    OwnClassifier,
    available,
    load_backbone,
    own_classifier,
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
from active_learning.card import ModelCard, NoveltyFigures
from active_learning.card_making import make_card, novelty_figures
from active_learning.choosing import Comparison, compare_backbones
from active_learning.classical import ClassicalDescriptor
from active_learning.clusters import Cluster, Clusters, look_alikes
from active_learning.coarse_labels import CoarseFit, fit_coarse
from active_learning.comparing import Verdict, compare
from active_learning.conformal import ConformalModel, fit_conformal
from active_learning.crowd import Consensus, Crowd, Opinion, RetireRule, Scene, Skill, agree, weigh
from active_learning.crowd_votes import Vote
from active_learning.curves import CurvePoint, learning_curve
from active_learning.embedding import EmbeddedBatch, embed_files
from active_learning.errors import (
    ArtifactError,
    ImageError,
    LearningError,
    NotEnoughDataError,
    NotFittedError,
    TaxonomyError,
)
from active_learning.evidence import Evidence
from active_learning.heads import LDAHead, LinearHead, PrototypeHead, fit_head
from active_learning.images import EMBED_SIDE, PREPROCESSING_VERSION, crop, open_figure, open_rgb, parse_box
from active_learning.intervals import Share
from active_learning.judging import Judge, Judged
from active_learning.metrics import ClassFigures, Confusion, Report, measure
from active_learning.model import Candidate, TrainedModel, TrainingConfig
from active_learning.near_duplicates import near_duplicate_groups, perceptual_hash
from active_learning.novelty import NoveltyExamples, NoveltyModel, Strangeness, fit_novelty, leave_classes_out
from active_learning.ranks import Claim, RankFigures, RankModel, RankScale, fit_ranks, measure_ranks
from active_learning.reporting import with_card
from active_learning.routing import RankBest, Route, best_at, best_of, route
from active_learning.similarity import SimilarityIndex
from active_learning.splitting import grouped_folds, in_holdout
from active_learning.strategies import doubtful_labels, entropy, herd, k_center, knn_distance, margin, typical
from active_learning.taxonomy import Taxonomy, pretty_sure, roll_up
from active_learning.torch_networks import ARCHITECTURES
from active_learning.training import train
from active_learning.training_set import TrainingSet, snapshot_hash
from active_learning.zero_label import Borrowed, borrowed_head, borrowed_model, may_follow, scientific_name

__all__ = [
    "ARCHITECTURES",
    "DEFAULT_BACKBONE",
    "EMBED_SIDE",
    "PREPROCESSING_VERSION",
    "REASONS",
    "ArtifactError",
    "Ask",
    "AutoThreshold",
    "Backbone",
    "Borrowed",
    "CalibrationError",
    "Candidate",
    "Claim",
    "ClassFigures",
    "ClassicalDescriptor",
    "Cluster",
    "Clusters",
    "CoarseFit",
    "Comparison",
    "ConformalModel",
    "Confusion",
    "Consensus",
    "Crowd",
    "CurvePoint",
    "EmbeddedBatch",
    "Evidence",
    "ImageError",
    "JoinedBackbone",
    "Judge",
    "Judged",
    "LDAHead",
    "LearningError",
    "LinearHead",
    "ModelCard",
    "NotEnoughDataError",
    "NotFittedError",
    "NoveltyExamples",
    "NoveltyFigures",
    "NoveltyModel",
    "Opinion",
    "OwnClassifier",
    "PrototypeHead",
    "RankBest",
    "RankFigures",
    "RankModel",
    "RankScale",
    "ReliabilityBin",
    "Report",
    "RetireRule",
    "Route",
    "Scene",
    "Share",
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
    "auto_threshold",
    "auto_thresholds",
    "available",
    "best_at",
    "best_of",
    "borrowed_head",
    "borrowed_model",
    "compare",
    "compare_backbones",
    "crop",
    "doubtful_labels",
    "embed_files",
    "entropy",
    "expected_calibration_error",
    "fit_coarse",
    "fit_conformal",
    "fit_head",
    "fit_novelty",
    "fit_ranks",
    "fit_temperature",
    "grouped_folds",
    "herd",
    "in_holdout",
    "k_center",
    "knn_distance",
    "learning_curve",
    "leave_classes_out",
    "load_backbone",
    "look_alikes",
    "make_card",
    "margin",
    "may_follow",
    "measure",
    "measure_ranks",
    "near_duplicate_groups",
    "novelty_figures",
    "open_figure",
    "open_rgb",
    "own_classifier",
    "parse_box",
    "perceptual_hash",
    "pretty_sure",
    "reliability_bins",
    "roll_up",
    "route",
    "scientific_name",
    "set_threads",
    "snapshot_hash",
    "train",
    "typical",
    "weigh",
    "with_card",
]
