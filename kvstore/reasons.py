"""Reason codes: every decision to reuse, or not to, carries one (DESIGN 5)."""

EXACT_PREFIX = "exact_prefix"  # P, computed alone: exact anywhere
FIRST_CHUNK = "first_chunk"  # directly behind P: exact
REUSED_PRIMED = "reused_primed"  # stored behind P and primers, moved to its place
REUSED_HEAD = "reused_head"  # stored behind P only, moved to its place
REUSED_ALONE = "reused_alone"  # stored behind nothing
REUSED_NEUTRAL = "reused_neutral"  # stored behind P and neutral primers
REUSED_MEAN = "reused_mean"  # a mean over several contexts
REUSED_MEDOID = "reused_medoid"  # the most ordinary of several contexts
REUSED_VARIANT = "reused_variant"  # stored from an exactly computed prompt with other passages
LINK = "link"  # link tokens are always computed
NOT_STORED = "not_stored"  # no entry in any tier
SLOWER_THAN_COMPUTE = "slower_than_compute"  # the tier that may hold it delivers too slowly
CORRUPT = "corrupt"  # the entry was damaged; its file is quarantined
MODE_OFF = "mode_off"
MODE_EXACT = "mode_exact"
TOO_SHORT = "too_short"  # too few tokens to be worth moving
MODEL_NOT_PROVEN = "model_not_proven"  # the exactness proofs have not passed on this model
EXACT_NOT_PROVEN = "exact_not_proven"  # nor those of exact reuse: nothing at all is reused
NOT_CALIBRATED = "not_calibrated"  # nobody measured how far this model drifts: larder calibrate
DRIFT_OVER_LIMIT = "drift_over_limit"  # the production watch switched chunk reuse off
HOLDOUT = "holdout"  # drawn to run without reuse, so that first-token times can be compared
MODEL_UNSUPPORTED = "model_unsupported"
QUESTION = "question"  # Q is always computed
REUSE = "reuse"  # plan level: chunks were reused
NOTHING_STORED = "nothing_stored"  # plan level: no entry was found
