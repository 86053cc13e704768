"""Which job does what."""

from collections.abc import Mapping

from icones.jobs.care import care
from icones.jobs.choose import choose
from icones.jobs.crowd import weigh_votes
from icones.jobs.embedding import embed_only
from icones.jobs.invariants import check_invariants
from icones.jobs.learn import predict, retrain
from icones.jobs.names import find_names
from icones.jobs.push import push
from icones.jobs.runner import Job
from icones.jobs.sync import sync
from icones.jobs.taxa import renew_taxa
from icones.models import JobKind

JOBS: Mapping[JobKind, Job] = {
    JobKind.SYNC: sync,
    JobKind.EMBED: embed_only,
    JobKind.RETRAIN: retrain,
    JobKind.PREDICT: predict,
    JobKind.INVARIANTS: check_invariants,
    JobKind.NAMES: find_names,
    JobKind.PUSH: push,
    JobKind.CARE: care,
    JobKind.TAXA: renew_taxa,
    JobKind.CHOOSE: choose,
    JobKind.CROWD: weigh_votes,
}
